"""Who owns which training samples: the source of data heterogeneity.

Every function here gives each worker the same number of samples, so F = (1/n) Σ Fᵢ weighs all samples that were handed
out equally. What does not divide evenly is left out, chosen at random, and shows in `Partition.counts`.
"""

from __future__ import annotations

import csv
import inspect
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rasgd.compute_times import ComputeTimes, checked_times
from rasgd.data.datasets import Dataset
from rasgd.files import replacing
from rasgd.randomness import generator
from rasgd.validation import real_number, whole_number

TEXT_WIDTH_INCHES = 5.5
MOST_WORKERS_WITH_BORDERS = 50  # with more, borders would hide the cells
SMALLEST_ALPHA = 1e-6  # below, 1/α times a logarithm leaves the range where shares can be told apart


@dataclass(frozen=True, eq=False)
class Partition:
    """Disjoint sets of training samples, one per worker.

    Attributes:
        indices: for every worker its samples' indices into the training set, int64, increasing.
        kind: one of `KINDS`.
        arguments: what the partition was made with, seed included; plain numbers, strings and lists.
        counts: samples of each class that each worker owns, int64 `[num_workers, num_classes]`.
        dataset: name and SHA-256 digests of the data set, empty when it was made from bare labels.
    """

    indices: list[np.ndarray]
    kind: str
    arguments: dict
    counts: np.ndarray
    dataset: dict = field(default_factory=dict)

    @property
    def num_workers(self) -> int:
        return len(self.indices)

    def save(self, path: str | Path) -> None:
        """Writes the partition with its provenance as one .npz; `read` gives it back."""
        provenance = {
            "kind": self.kind,
            "arguments": self.arguments,
            "dataset": self.dataset,
            "rasgd_version": version("rasgd"),
        }
        sizes = np.array([len(own) for own in self.indices], dtype=np.int64)
        arrays = {"indices": np.concatenate(self.indices), "sizes": sizes, "counts": self.counts}
        with replacing(path) as temporary:
            np.savez(temporary, provenance=json.dumps(provenance), **arrays)


def read(path: str | Path) -> Partition:
    """The partition that `Partition.save` wrote to `path`.

    Raises:
        ValueError: the file is missing, truncated or was not written by `Partition.save`.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            provenance = json.loads(str(stored["provenance"]))
            ends = np.cumsum(stored["sizes"])
            return Partition(
                indices=np.split(stored["indices"], ends[:-1]),
                kind=provenance["kind"],
                arguments=provenance["arguments"],
                counts=stored["counts"],
                dataset=provenance["dataset"],
            )
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a readable partition file ({type(error).__name__}: {error})") from error


def iid(labels: np.ndarray, num_workers: int, seed: int) -> Partition:
    """Every worker owns a uniformly random share: all local functions are alike.

    Args:
        labels: class of every training sample, integers ≥ 0, `[num_samples]`.
        num_workers: number of workers.
        seed: non-negative integer.

    Raises:
        ValueError: more workers than samples, or labels that are not classes.
    """
    labels, num_workers, seed = _checked(labels, num_workers, seed)
    size = len(labels) // num_workers
    order = generator(seed, "partition iid").permutation(len(labels))
    return _partition(labels, np.split(order[: num_workers * size], num_workers), "iid", seed=seed)


def dirichlet(labels: np.ndarray, num_workers: int, alpha: float, seed: int) -> Partition:
    """Workers of equal size whose class shares follow a Dirichlet law [code].

    In random order each worker draws p ~ Dir(α, …, α) and then its samples one by one without replacement, p being
    renormalised over the classes that are not yet exhausted. The last workers get what is left.

    Drawing the counts of many samples at once, cutting them at what a class still has and drawing the cut ones anew
    has the same law: one by one, a draw from an exhausted class is a draw that is repeated [derived].

    Args:
        labels: class of every training sample, integers ≥ 0, `[num_samples]`.
        num_workers: number of workers.
        alpha: concentration ≥ 1e-6; .1 leaves most workers with one or two classes, ∞ would be uniform shares.
        seed: non-negative integer.

    Raises:
        ValueError: alpha out of range, more workers than samples, or labels that are not classes.
    """
    labels, num_workers, seed = _checked(labels, num_workers, seed)
    size = len(labels) // num_workers
    real_number("alpha", alpha, at_least=SMALLEST_ALPHA)
    random = generator(seed, "partition dirichlet")
    pools = [random.permutation(np.flatnonzero(labels == label)) for label in range(labels.max() + 1)]
    left = np.array([len(pool) for pool in pools])
    owned: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * num_workers
    for worker in random.permutation(num_workers):
        counts = _class_counts(random, alpha, size, left)
        left = left - counts
        owned[worker] = np.concatenate(
            [pool[end : end + count] for pool, end, count in zip(pools, left, counts, strict=True)]
        )
    return _partition(labels, owned, "dirichlet", alpha=alpha, seed=seed)


def by_label(labels: np.ndarray, num_workers: int, seed: int, shards_per_worker: int = 1) -> Partition:
    """Workers own few classes: the samples, sorted by class, are cut into equal shards and dealt at random [lit].

    McMahan et al. (Communication-efficient learning of deep networks from decentralized data, 2017) deal two shards per
    worker; with one, most workers own a single class.

    Args:
        labels: class of every training sample, integers ≥ 0, `[num_samples]`.
        num_workers: number of workers.
        seed: non-negative integer.
        shards_per_worker: shards each worker gets; about the largest number of classes it owns.

    Raises:
        ValueError: more shards than samples, or labels that are not classes.
    """
    labels, num_workers, seed = _checked(labels, num_workers, seed)
    shards_per_worker = whole_number("shards_per_worker", shards_per_worker)
    num_shards = num_workers * shards_per_worker
    size = len(labels) // num_shards
    if size == 0:
        raise ValueError(
            f"shards_per_worker is {shards_per_worker}: {num_workers} workers need {num_shards} shards, "
            f"but the data has {len(labels)} samples"
        )
    random = generator(seed, "partition by_label")
    kept = random.permutation(len(labels))[: num_shards * size]  # leave out at random, not the last class
    in_order = kept[np.argsort(labels[kept], kind="stable")].reshape(num_shards, size)
    dealt = random.permutation(num_shards).reshape(num_workers, shards_per_worker)
    owned = [in_order[shards].ravel() for shards in dealt]
    return _partition(labels, owned, "by_label", shards_per_worker=shards_per_worker, seed=seed)


def by_speed(
    labels: np.ndarray,
    compute_times: Sequence[float] | ComputeTimes,
    slow_classes: Sequence[int],
    seed: int,
    num_slow_workers: int | None = None,
) -> Partition:
    """Slow workers alone own some classes: a method that favours fast workers hardly sees them.

    The slow workers share the samples of the slow classes at random, the others share the rest.

    Args:
        labels: class of every training sample, integers ≥ 0, `[num_samples]`.
        compute_times: mean seconds per gradient of every worker.
        slow_classes: classes that only slow workers own; at least one class must remain for the others.
        seed: non-negative integer.
        num_slow_workers: the so many slowest workers are slow (among equals, the higher index). Default: all whose time
            exceeds the geometric mean of the fastest and the slowest.

    Raises:
        ValueError: a worker would be left without data, a slow class has no samples, or labels are not classes.
    """
    labels = _checked_labels(labels)
    seconds = compute_times.mean if isinstance(compute_times, ComputeTimes) else checked_times(compute_times)
    slow, seed = _slow_workers(seconds, num_slow_workers), whole_number("seed", seed, at_least=0)
    fast = np.setdiff1d(np.arange(len(seconds)), slow)
    is_slow = np.isin(labels, _checked_slow_classes(labels, slow_classes))
    size = min(is_slow.sum() // len(slow), (~is_slow).sum() // len(fast))
    if size == 0:
        raise ValueError(
            f"compute_times has {len(slow)} slow and {len(fast)} fast workers, but the data has {is_slow.sum()} samples"
            f" of slow_classes and {(~is_slow).sum()} others: a worker would be left without data"
        )
    random = generator(seed, "partition by_speed")
    owned: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(seconds)
    for workers, mask in ((slow, is_slow), (fast, ~is_slow)):
        dealt = random.permutation(np.flatnonzero(mask))[: len(workers) * size].reshape(len(workers), size)
        for worker, samples in zip(workers, dealt, strict=True):
            owned[worker] = samples
    arguments = {
        "compute_times": [float(value) for value in seconds],
        "slow_classes": sorted({int(label) for label in slow_classes}),
        "slow_workers": slow.tolist(),
    }
    return _partition(labels, owned, "by_speed", **arguments, seed=seed)


def one_class_each(labels: np.ndarray, num_workers: int, seed: int) -> Partition:
    """Worker i owns samples of class i alone, as many as the rarest class has [paper, §5].

    Args:
        labels: class of every training sample, `[num_samples]`; there must be samples of every class from 0 on.
        num_workers: number of workers, as many as there are classes.
        seed: of the choice of samples in the more frequent classes; non-negative integer.

    Raises:
        ValueError: another number of workers, a class without samples, or labels that are not classes.
    """
    labels, num_workers, seed = _checked(labels, num_workers, seed)
    sizes = np.bincount(labels)
    if num_workers != len(sizes):
        raise ValueError(f"num_workers must be {len(sizes)}, one for each class of the data, got {num_workers}")
    if sizes.min() == 0:
        raise ValueError(f"labels must hold every class up to {len(sizes) - 1}, class {sizes.argmin()} has no sample")
    random = generator(seed, "partition one_class_each")
    owned = [random.permutation(np.flatnonzero(labels == label))[: sizes.min()] for label in range(num_workers)]
    return _partition(labels, owned, "one_class_each", seed=seed)


KINDS: dict[str, Callable[..., Partition]] = {
    "iid": iid,
    "dirichlet": dirichlet,
    "by_label": by_label,
    "by_speed": by_speed,
    "one_class_each": one_class_each,
}


def build(kind: str, dataset: Dataset, **arguments) -> Partition:
    """The partition of a data set's training samples, with the data set's identity in its provenance.

    Args:
        kind: one of `KINDS`.
        dataset: from `rasgd.datasets`.
        arguments: those of the function that `kind` names, labels excepted.

    Raises:
        ValueError: unknown kind, an argument that does not belong to it or is missing, or one of the function's own.
    """
    if kind not in KINDS:
        raise ValueError(f"partition kind is {kind!r}; allowed: {', '.join(KINDS)}")
    allowed = list(inspect.signature(KINDS[kind]).parameters)[1:]
    try:
        inspect.signature(KINDS[kind]).bind(dataset.train_labels, **arguments)
    except TypeError as error:
        raise ValueError(f"partition {kind}: {error}; its arguments are {', '.join(allowed)}") from None
    partition = KINDS[kind](dataset.train_labels, **arguments)
    return replace(partition, dataset={"name": dataset.name, "sha256": dataset.provenance["sha256"]})


def heat_map(partition: Partition, path_stem: str | Path) -> list[Path]:
    """Draws how many samples of each class every worker owns, as .png and .pdf, and writes the numbers as .csv.

    White means none. Slow workers of a partition by speed carry a mark. The same partition gives the same bytes.

    Args:
        partition: what to draw.
        path_stem: path of the files without their ending.

    Returns:
        The paths of the three files.
    """
    paths = [Path(f"{path_stem}{ending}") for ending in (".png", ".pdf", ".csv")]
    with _drawing_settings():
        figure = _drawn(partition)
        for path, metadata in ((paths[0], None), (paths[1], {"CreationDate": None})):
            with replacing(path) as temporary:
                figure.savefig(temporary, dpi=200, metadata=metadata)
    with replacing(paths[2]) as temporary, temporary.open("w", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["worker", "class", "samples"])
        rows.writerows((worker, label, count) for (worker, label), count in np.ndenumerate(partition.counts))
    return paths


def _drawing_settings():
    from matplotlib import rc_context

    return rc_context({"font.size": 8, "axes.titlesize": 8, "axes.linewidth": 0.6, "pdf.fonttype": 42})


def _drawn(partition: Partition):
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    num_workers, num_classes = partition.counts.shape
    figure = Figure(figsize=(TEXT_WIDTH_INCHES, 0.9 + 0.16 * num_classes), layout="constrained")
    axes = figure.add_subplot()
    blues = colormaps["Blues"](np.linspace(0.2, 1.0, 256))  # without its palest fifth: one sample is not none
    colours = ListedColormap(blues).with_extremes(bad="white")
    image = axes.imshow(np.ma.masked_equal(partition.counts.T, 0), aspect="auto", cmap=colours, vmin=0)
    axes.set(xlabel="worker", ylabel="class")
    axes.set_title(_title(partition), loc="left", pad=9)
    for axis, number in ((axes.xaxis, num_workers), (axes.yaxis, num_classes)):
        axis.set_major_locator(MaxNLocator(nbins=min(number, 20), integer=True, steps=[1, 2, 5, 10]))
        axis.set_ticks(np.arange(-0.5, number), minor=True)  # cell borders
    axes.tick_params(which="both", length=0)
    if num_workers <= MOST_WORKERS_WITH_BORDERS:
        axes.grid(which="minor", color="0.88", linewidth=0.4)
    figure.colorbar(image, label="samples", pad=0.02)
    if slow := partition.arguments.get("slow_workers"):
        axes.plot(slow, np.full(len(slow), -0.85), "v", color="tab:orange", markersize=3.5, clip_on=False)
    axes.set(xlim=(-0.5, num_workers - 0.5), ylim=(num_classes - 0.5, -0.5))
    return figure


def _title(partition: Partition) -> str:
    sizes = sorted({len(own) for own in partition.indices})
    per_worker = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    arguments = partition.arguments
    how = {
        "iid": lambda: "iid",
        "dirichlet": lambda: f"Dirichlet({arguments['alpha']})",
        "by_label": lambda: f"by label, shards per worker: {arguments['shards_per_worker']}",
        "one_class_each": lambda: "one class each",
        "by_speed": lambda: f"▼ slow workers alone own classes {', '.join(map(str, arguments['slow_classes']))}",
    }[partition.kind]()
    name = f"{partition.dataset['name']}: " if partition.dataset else ""
    return f"{name}{partition.num_workers} workers × {per_worker} samples, {how}"


def _partition(labels: np.ndarray, owned: Sequence[np.ndarray], kind: str, **arguments) -> Partition:
    num_classes = int(labels.max()) + 1
    indices = [np.sort(own).astype(np.int64) for own in owned]
    counts = np.stack([np.bincount(labels[own], minlength=num_classes) for own in indices])
    return Partition(indices, kind, {"num_workers": len(indices), **arguments}, counts.astype(np.int64))


def _class_counts(random: np.random.Generator, alpha: float, size: int, left: np.ndarray) -> np.ndarray:
    """How many samples of each class a worker draws, given how many are left of each."""
    # Dir(α) as normalised Gamma(α) variables, their logarithms by Gamma(α) = Gamma(α+1)·U^(1/α): for small α the
    # variables themselves underflow, and the shares among the classes that are left would be 0/0.
    logarithms = np.log(random.standard_gamma(alpha + 1, len(left))) - random.standard_exponential(len(left)) / alpha
    counts = np.zeros_like(left)
    while (missing := size - counts.sum()) > 0:
        available = np.where(counts < left, logarithms, -np.inf)
        shares = np.exp(available - available.max())
        counts = np.minimum(counts + random.multinomial(missing, shares / shares.sum()), left)
    return counts


def _slow_workers(seconds: np.ndarray, num_slow_workers: int | None) -> np.ndarray:
    if num_slow_workers is None:
        slow = np.flatnonzero(seconds > math.sqrt(seconds.min() * seconds.max()))
        if len(slow) == 0:
            raise ValueError("compute_times are all equal: no worker is slow, so none can own slow_classes alone")
        return slow
    num_slow_workers = whole_number("num_slow_workers", num_slow_workers)
    if num_slow_workers >= len(seconds):
        raise ValueError(
            f"num_slow_workers must be less than the number of workers {len(seconds)}, got {num_slow_workers}"
        )
    return np.sort(np.argsort(seconds, kind="stable")[-num_slow_workers:])


def _checked_slow_classes(labels: np.ndarray, slow_classes: Sequence[int]) -> np.ndarray:
    present = np.unique(labels)
    slow = np.unique(np.asarray(slow_classes))
    if len(slow) == 0 or not np.isin(slow, present).all():
        raise ValueError(f"slow_classes must be classes of the data {present.tolist()}, got {list(slow_classes)}")
    if len(slow) == len(present):
        raise ValueError(f"slow_classes {slow.tolist()} are all classes: the fast workers would be left without data")
    return slow


def _checked_labels(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) == 0 or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise ValueError(
            f"labels must be a non-empty vector of integers ≥ 0, got {labels.dtype} of shape {labels.shape}"
            + (f" with minimum {labels.min()}" if labels.size and labels.dtype.kind in "iuf" else "")
        )
    return labels.astype(np.int64)


def _checked(labels: np.ndarray, num_workers: int, seed: int) -> tuple[np.ndarray, int, int]:
    """The three arguments that equal shares of samples need, if there are enough samples."""
    labels, num_workers = _checked_labels(labels), whole_number("num_workers", num_workers)
    if num_workers > len(labels):
        raise ValueError(
            f"num_workers is {num_workers}, but the data has {len(labels)} samples: at most one worker each"
        )
    return labels, num_workers, whole_number("seed", seed, at_least=0)
