import csv
import runpy
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasgd.compute_times import FixedTimes
from rasgd.data import datasets, partition

SCRIPT = Path(__file__).parents[1] / "workflow" / "scripts" / "partition.py"
LABELS = np.repeat(np.arange(10), 60)
TWO_SPEEDS = [1.0] * 15 + [32.0] * 5

labels_of_some_classes = st.lists(st.integers(0, 6), min_size=1, max_size=200).map(np.array)
seeds = st.integers(0, 2**32)


def check_invariants(made: partition.Partition, labels: np.ndarray, num_workers: int) -> None:
    assert made.num_workers == num_workers
    everything = np.concatenate(made.indices)
    assert len(np.unique(everything)) == len(everything), "workers share a sample"
    assert everything.min() >= 0 and everything.max() < len(labels)
    sizes = {len(own) for own in made.indices}
    assert len(sizes) == 1 and sizes.pop() >= 1
    for own, counts in zip(made.indices, made.counts, strict=True):
        assert own.dtype == np.int64 and np.all(np.diff(own) > 0)
        assert np.array_equal(counts, np.bincount(labels[own], minlength=labels.max() + 1))


@given(labels_of_some_classes, seeds, st.data())
def test_iid_hands_out_equal_disjoint_shares(labels, seed, data):
    num_workers = data.draw(st.integers(1, len(labels)))
    made = partition.iid(labels, num_workers, seed)
    check_invariants(made, labels, num_workers)
    assert made.counts.sum() == len(labels) - len(labels) % num_workers


@given(labels_of_some_classes, seeds, st.floats(1e-6, 1e6), st.data())
def test_dirichlet_hands_out_equal_disjoint_shares_for_every_alpha(labels, seed, alpha, data):
    num_workers = data.draw(st.integers(1, len(labels)))
    made = partition.dirichlet(labels, num_workers, alpha, seed)
    check_invariants(made, labels, num_workers)
    assert made.counts.sum() == len(labels) - len(labels) % num_workers


@given(labels_of_some_classes, seeds, st.data())
def test_by_label_hands_out_equal_disjoint_shares(labels, seed, data):
    num_workers = data.draw(st.integers(1, len(labels)))
    shards = data.draw(st.integers(1, len(labels) // num_workers))
    made = partition.by_label(labels, num_workers, seed, shards_per_worker=shards)
    check_invariants(made, labels, num_workers)
    assert made.counts.sum() == len(labels) - len(labels) % (num_workers * shards)


@given(st.permutations(TWO_SPEEDS), st.sets(st.integers(0, 9), min_size=1, max_size=9), seeds)
def test_by_speed_gives_the_slow_classes_to_all_slow_workers_and_to_nobody_else(times, slow_classes, seed):
    made = partition.by_speed(LABELS, times, sorted(slow_classes), seed)
    check_invariants(made, LABELS, 20)
    is_slow = np.array(times) == 32.0
    assert made.arguments["slow_workers"] == np.flatnonzero(is_slow).tolist()
    owns_slow_classes = made.counts[:, sorted(slow_classes)].sum(axis=1)
    size = len(made.indices[0])
    assert np.array_equal(owns_slow_classes, np.where(is_slow, size, 0))
    # As many samples as the scarcer of the two groups allows: no smaller equal size was possible.
    assert size == min(60 * len(slow_classes) // 5, 60 * (10 - len(slow_classes)) // 15)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), seeds, st.randoms(use_true_random=False))
def test_one_class_each_trims_every_class_to_the_rarest(sizes, seed, random):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    random.shuffle(labels)
    made = partition.one_class_each(labels, len(sizes), seed)
    check_invariants(made, labels, len(sizes))
    assert np.array_equal(made.counts, min(sizes) * np.eye(len(sizes), dtype=int))


def test_one_class_each_keeps_a_uniformly_random_part_of_a_frequent_class():
    labels = np.repeat([0, 1], [4, 2])
    kept = np.zeros(4)
    for seed in range(600):
        kept[partition.one_class_each(labels, 2, seed).indices[0]] += 1
    # Each of 4 is kept with probability ½: deviations of 600 draws are √(600/4) = 12.2, four of them 49.
    assert np.abs(kept - 300).max() < 49


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("iid", {"num_workers": 20}),
        ("dirichlet", {"num_workers": 20, "alpha": 0.1}),
        ("by_label", {"num_workers": 20}),
        ("by_speed", {"compute_times": TWO_SPEEDS, "slow_classes": [7, 8, 9]}),
    ],
)
def test_a_seed_fixes_a_partition_and_another_seed_gives_another(kind, arguments):
    one, same, other = (partition.KINDS[kind](LABELS, **arguments, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one.indices, same.indices, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one.indices, other.indices, strict=True))
    assert one.arguments["seed"] == 3 and one.arguments["num_workers"] == 20


def one_by_one(random: np.random.Generator, alpha: float) -> np.ndarray:
    """The plain twin of `dirichlet` for three workers, classes of 2, 3 and 4 samples: one sample at a time."""
    left = np.array([2, 3, 4])
    counts = np.zeros((3, 3), dtype=int)
    for worker in random.permutation(3):
        shares = random.dirichlet([alpha] * 3)
        for _ in range(3):
            weights = np.where(left > 0, shares, 0)
            label = random.choice(3, p=weights / weights.sum())
            counts[worker, label] += 1
            left[label] -= 1
    return counts


def test_dirichlet_has_the_law_of_drawing_samples_one_by_one():
    labels = np.repeat(np.arange(3), [2, 3, 4])
    num_draws = 3000
    random = np.random.default_rng(0)
    slow = np.array([one_by_one(random, alpha=0.7) for _ in range(num_draws)])
    fast = np.array([partition.dirichlet(labels, 3, 0.7, seed).counts for seed in range(num_draws)])
    # The frequencies of the 36 events "worker i has c samples of class l" are means of num_draws coins each: a
    # difference has standard deviation at most sqrt(2·.25/3000) = .013, five of them are .065.
    frequencies = [np.stack([(counts == c).mean(axis=0) for c in range(4)]) for counts in (slow, fast)]
    assert np.abs(frequencies[0] - frequencies[1]).max() < 0.065
    # Whole tables as well: exhausted classes couple the workers. Those that are frequent enough to compare.
    tables, counts = np.unique(np.concatenate([slow, fast]).reshape(-1, 9), axis=0, return_counts=True)
    for table in tables[counts > 100]:
        shares = [(draws.reshape(-1, 9) == table).all(axis=1).mean() for draws in (slow, fast)]
        assert abs(shares[0] - shares[1]) < 5 * np.sqrt(2 * max(shares) / num_draws)


def test_the_smaller_alpha_the_fewer_classes_a_worker_owns():
    largest_share = [
        np.mean(
            [(counts := partition.dirichlet(LABELS, 10, alpha, seed).counts).max(axis=1).mean() for seed in range(5)]
        )
        / counts[0].sum()
        for alpha in (1e-6, 0.1, 1.0, 1e6)
    ]
    assert largest_share == sorted(largest_share, reverse=True)
    # α → 0: a worker takes one class as long as it lasts, and 60 samples are a class: all but collisions are pure.
    assert largest_share[0] > 0.9
    # α → ∞: shares 1/10 of 60 samples, the largest of ten counts lies a few standard deviations (2.3) above 6.
    assert largest_share[-1] < 0.25


def test_by_label_with_one_shard_gives_every_worker_one_class_when_they_are_as_many():
    made = partition.by_label(LABELS, 10, seed=0)
    assert np.array_equal(np.sort(made.counts, axis=1)[:, -1], np.full(10, 60))
    assert np.array_equal(made.counts.sum(axis=0), np.full(10, 60))


def test_by_speed_takes_so_many_slowest_workers_when_told():
    made = partition.by_speed(LABELS, FixedTimes([4.0, 1.0, 2.0, 4.0, 3.0]), [0], seed=0, num_slow_workers=2)
    assert made.arguments["slow_workers"] == [0, 3]
    assert np.flatnonzero(made.counts[:, 0]).tolist() == [0, 3]


def test_by_speed_breaks_ties_towards_the_higher_index():
    made = partition.by_speed(LABELS, [1.0, 4.0, 4.0], [0], seed=0, num_slow_workers=1)
    assert made.arguments["slow_workers"] == [2]


def by_speed(times=TWO_SPEEDS, slow_classes=(7,), labels=LABELS, **arguments):
    return partition.by_speed(labels, times, list(slow_classes), seed=0, **arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: partition.iid(LABELS, 601, 0), "num_workers is 601, but the data has 600 samples"),
        (lambda: partition.dirichlet(LABELS, 601, 0.1, 0), "num_workers is 601, but the data has 600 samples"),
        (lambda: partition.by_label(LABELS, 601, 0), "num_workers is 601, but the data has 600 samples"),
        (lambda: partition.by_label(LABELS, 10, 0, shards_per_worker=61), "shards_per_worker is 61"),
        (
            lambda: partition.by_label(LABELS, 10, 0, shards_per_worker=0),
            "shards_per_worker must be a whole number of at least 1",
        ),
        (lambda: partition.iid(LABELS, 0, 0), "num_workers must be a whole number of at least 1, got 0"),
        (lambda: partition.iid(LABELS, 2.5, 0), "num_workers must be a whole number of at least 1, got 2.5"),
        (lambda: partition.iid(LABELS, 2, -1), "seed must be a whole number of at least 0, got -1"),
        (lambda: partition.iid(LABELS / 2, 2, 0), "labels must be a non-empty vector of integers"),
        (lambda: partition.iid(LABELS - 1, 2, 0), "with minimum -1"),
        (lambda: partition.iid([], 2, 0), "labels must be a non-empty vector"),
        (lambda: partition.dirichlet(LABELS, 2, 0.0, 0), "alpha must be a finite number of at least 1e-06, got 0.0"),
        (lambda: partition.dirichlet(LABELS, 2, float("nan"), 0), "alpha must be .* got nan"),
        (lambda: partition.dirichlet(LABELS, 2, float("inf"), 0), "alpha must be .* got inf"),
        (lambda: partition.dirichlet(LABELS, 2, "much", 0), "alpha must be .* got 'much'"),
        (
            lambda: partition.one_class_each(LABELS, 20, 0),
            "num_workers must be 10, one for each class of the data, got 20",
        ),
        (lambda: partition.one_class_each(LABELS[LABELS != 3], 10, 0), "class 3 has no sample"),
        (lambda: by_speed([2.0] * 4), "compute_times are all equal"),
        (lambda: by_speed([1.0, -1.0]), "compute_times must be positive"),
        (lambda: by_speed(slow_classes=[10]), r"slow_classes must be classes of the data .* got \[10\]"),
        (lambda: by_speed(slow_classes=[]), r"slow_classes must be classes of the data .* got \[\]"),
        (lambda: by_speed(slow_classes=range(10)), "fast workers would be left without data"),
        (lambda: by_speed(labels=np.array([7] * 4 + [0] * 30)), "a worker would be left without data"),
        (
            lambda: by_speed([1.0, 2.0], num_slow_workers=2),
            "num_slow_workers must be less than the number of workers 2",
        ),
    ],
)
def test_what_cannot_be_handed_out_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def digits() -> datasets.Dataset:
    return datasets.load("digits")


def test_building_for_a_data_set_records_its_name_and_digests(digits):
    made = partition.build("dirichlet", digits, num_workers=5, alpha=0.1, seed=0)
    assert made.dataset == {"name": "digits", "sha256": digits.provenance["sha256"]}
    assert made.arguments == {"num_workers": 5, "alpha": 0.1, "seed": 0}


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("by_colour", {}, "partition kind is 'by_colour'; allowed: iid, dirichlet, by_label, by_speed, one_class_each"),
        (
            "iid",
            {"num_workers": 5, "seed": 0, "alpha": 1},
            "partition iid: .*'alpha'; its arguments are num_workers, seed",
        ),
        ("dirichlet", {"num_workers": 5, "seed": 0}, "partition dirichlet: missing .*'alpha'"),
    ],
)
def test_arguments_that_do_not_belong_to_a_kind_are_refused(digits, kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        partition.build(kind, digits, **arguments)


def test_a_saved_partition_is_read_back_with_its_provenance_and_the_same_bytes(digits, tmp_path):
    made = partition.build("by_speed", digits, compute_times=[1.0, 1.0, 9.0], slow_classes=[4], seed=0)
    made.save(tmp_path / "once.npz")
    made.save(tmp_path / "twice.npz")
    again = partition.read(tmp_path / "once.npz")
    assert all(np.array_equal(a, b) for a, b in zip(made.indices, again.indices, strict=True))
    assert np.array_equal(made.counts, again.counts)
    assert (again.kind, again.arguments, again.dataset) == (made.kind, made.arguments, made.dataset)
    assert (tmp_path / "once.npz").read_bytes() == (tmp_path / "twice.npz").read_bytes()


@pytest.mark.parametrize("content", [None, "truncated", "another", "pickle"])
def test_a_file_that_is_no_partition_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "partition.npz"
    if content == "truncated":
        partition.iid(LABELS, 3, 0).save(path)
        path.write_bytes(path.read_bytes()[:-100])
    elif content == "another":
        np.savez(path, values=np.ones(3))
    elif content == "pickle":
        np.savez(path, provenance=np.array({"kind": "iid"}, dtype=object))
    with pytest.raises(ValueError, match=r"partition\.npz: not a readable partition file") as raised:
        partition.read(path)
    assert "\n" not in str(raised.value)


def test_a_heat_map_is_five_and_a_half_inches_wide_and_the_same_bytes_every_time(tmp_path):
    made = partition.by_speed(LABELS, TWO_SPEEDS, [7, 8, 9], seed=0)
    once = partition.heat_map(made, tmp_path / "once" / "heat.map")
    twice = partition.heat_map(made, tmp_path / "twice")
    assert [path.name for path in once] == ["heat.map.png", "heat.map.pdf", "heat.map.csv"]
    for one, two in zip(once, twice, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in once[1].read_bytes()  # two files of one second would not differ by it
    assert struct.unpack(">I", once[0].read_bytes()[16:20]) == (1100,)  # pixels, at 200 per inch


def test_the_numbers_beside_a_heat_map_are_the_counts(tmp_path):
    made = partition.dirichlet(LABELS, 4, 0.5, seed=0)
    with partition.heat_map(made, tmp_path / "map")[2].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    counts = np.zeros_like(made.counts)
    for row in rows:
        counts[int(row["worker"]), int(row["class"])] = int(row["samples"])
    assert len(rows) == counts.size and np.array_equal(counts, made.counts)


ENDINGS = {"partition": "npz", "png": "png", "table": "parquet"}


def snakemake_for(tmp_path: Path, num_workers: int) -> SimpleNamespace:
    return SimpleNamespace(
        wildcards=SimpleNamespace(experiment="digits_iid"),
        params=SimpleNamespace(kind="iid", arguments={"num_workers": num_workers, "seed": 0}),
        input=SimpleNamespace(dataset=str(tmp_path / "digits.npz")),
        output=SimpleNamespace(**{key: str(tmp_path / f"digits_iid.{ending}") for key, ending in ENDINGS.items()}),
        log=[str(tmp_path / "partition.log")],
    )


def test_the_rule_writes_the_partition_and_its_heat_map(digits, tmp_path):
    datasets.save(digits, tmp_path / "digits.npz")
    runpy.run_path(str(SCRIPT), init_globals={"snakemake": snakemake_for(tmp_path, 7)})
    assert partition.read(tmp_path / "digits_iid.npz").num_workers == 7
    assert {path.name for path in tmp_path.glob("digits_iid.*")} == {
        f"digits_iid.{e}" for e in ("npz", "png", "pdf", "csv", "parquet")
    }


def test_the_rule_ends_with_one_line_when_the_data_does_not_suffice(digits, tmp_path):
    datasets.save(digits, tmp_path / "digits.npz")
    with pytest.raises(SystemExit, match="error: num_workers is 2000, but the data has 1442 samples"):
        runpy.run_path(str(SCRIPT), init_globals={"snakemake": snakemake_for(tmp_path, 2000)})
    assert {path.name for path in tmp_path.iterdir()} == {"digits.npz", "partition.log"}
