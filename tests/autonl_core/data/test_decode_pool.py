"""Without space for decoded images: the same pixels in the same order, from reader processes that fail cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Batch, Loader
from autonl_core.data.decode_pool import Readers
from autonl_core.data.listing import ListedFiles, list_files
from autonl_core.data.pixels import CachedPixels, ShardedPixels
from autonl_core.data.prepare import PreparedData, prepare
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.scan import scan
from autonl_core.datasets.spec import DIGITS, DatasetSpec
from autonl_core.errors import DatasetError

SIZE = 16
TOO_LITTLE = 10_000  # bytes: less than any dataset here takes when decoded


def photo(seed: int, side: int = 24) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, size=(4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side + seed % 7), Image.Resampling.BICUBIC)


def write_folder(root: Path, count: int = 12) -> Path:
    for label in ("bird", "çedilla"):
        (root / label).mkdir(parents=True)
        for number in range(count):
            photo(hash((label == "bird", number)) % 1000).save(root / label / f"{number}.jpg", quality=90)
    return root


def zipped(root: Path, path: Path, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(root.rglob("*.jpg")):
            archive.write(file, file.relative_to(root).as_posix())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def data(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The folder's images, not decoded."""
    return prepare(scan("f", folder), SIZE, tmp_path_factory.mktemp("cache"), cache_limit_bytes=TOO_LITTLE)


def both(spec: DatasetSpec, tmp_path: Path) -> tuple[PreparedData, PreparedData]:
    cached = prepare(spec, SIZE, tmp_path / "cached")
    sharded = prepare(spec, SIZE, tmp_path / "sharded", cache_limit_bytes=TOO_LITTLE)
    assert isinstance(cached.train.pixels, CachedPixels)
    assert isinstance(sharded.train.pixels, ShardedPixels)
    assert (cached.sharded, sharded.sharded) == (False, True)
    return cached, sharded


def batches(data: PreparedData, first_step: int = 0, size: int = 4) -> list[Batch]:
    loader = Loader(data, torch.device("cpu"), 3, Augmentation(flip=True, padding_px=2, erase=0.5))
    return [*loader.epoch(data.train, "train", 1, size, first_step), *loader.plain(data.test, size - 1)]


def assert_equal(batches: list[Batch], others: list[Batch]) -> None:
    assert len(batches) == len(others) > 1
    for (x, labels), (other_x, other_labels) in zip(batches, others, strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(labels, other_labels)


@pytest.mark.parametrize(
    "kind", ["folder", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("stored", "deflated", "digits"))]
)
def test_the_same_pixels_in_the_same_order(kind: str, folder: Path, tmp_path: Path) -> None:
    if kind == "digits":
        spec = DIGITS
    elif kind == "folder":
        spec = scan("f", folder)
    else:
        method = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
        spec = scan("z", zipped(folder, tmp_path / "z.zip", method))
    cached, sharded = both(spec, tmp_path)
    assert (cached.mean, cached.std) == (sharded.mean, sharded.std)
    size = 128 if kind == "digits" else 4
    assert_equal(batches(cached, 0, size), batches(sharded, 0, size))
    assert_equal(batches(cached, 2, size), batches(sharded, 2, size))  # resumed in the middle of an epoch


@pytest.mark.long
def test_streams_that_take_turns_do_not_mix_up(folder: Path, tmp_path: Path) -> None:
    cached, sharded = both(scan("f", folder), tmp_path)
    seen = []
    for data in (cached, sharded):
        loader = Loader(data, torch.device("cpu"), 0, Augmentation(flip=False, padding_px=1))
        train, plain = loader.epoch(data.train, "train", 0, 4), loader.plain(data.train, 5)
        first = [next(train), next(plain), next(plain)]
        next(loader.plain(data.test, 2))  # left alone after one batch
        seen.append([*first, *train, *plain])
    assert_equal(*seen)


@pytest.mark.long
def test_unreadable_images_are_left_out_of_both(folder: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "images")
    (root / "bird" / "0.jpg").write_bytes(b"not an image")
    (root / "bird" / "1.jpg").write_bytes((root / "bird" / "1.jpg").read_bytes()[:200])
    cached, sharded = both(scan("damaged", root), tmp_path)
    assert cached.report == sharded.report
    assert sharded.report.unreadable == 2
    assert_equal(batches(cached), batches(sharded))


@pytest.mark.long
def test_many_images_are_prepared_by_readers_with_the_same_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = scan("f", folder)
    alone = prepare(spec, SIZE, tmp_path / "alone")
    monkeypatch.setattr("autonl_core.data.build.ALONE_IMAGES", 0)
    monkeypatch.setattr("autonl_core.data.build._CHUNK_IMAGES", 5)
    together = prepare(spec, SIZE, tmp_path / "together")
    assert together.report == alone.report
    assert_equal(batches(together), batches(alone))


@pytest.mark.long
def test_a_second_search_does_not_decode_everything_again(folder: Path, tmp_path: Path) -> None:
    spec = scan("f", folder)
    prepare(spec, SIZE, tmp_path, cache_limit_bytes=TOO_LITTLE)
    updates: list[float] = []
    again = prepare(spec, SIZE, tmp_path, updates.append, cache_limit_bytes=TOO_LITTLE)
    assert again.sharded
    assert updates == []
    assert not prepare(spec, SIZE, tmp_path).sharded  # once there is space, it is used
    assert not prepare(spec, SIZE, tmp_path, cache_limit_bytes=TOO_LITTLE).sharded  # what was decoded is used


@pytest.mark.long
def test_the_same_content_under_another_name_is_prepared_once(folder: Path, tmp_path: Path) -> None:
    one, other = zipped(folder, tmp_path / "one.zip"), zipped(folder, tmp_path / "other.zip", zipfile.ZIP_DEFLATED)
    first = prepare(scan("one", one), SIZE, tmp_path / "cache")
    updates: list[float] = []
    second = prepare(scan("other", other), SIZE, tmp_path / "cache", updates.append)
    assert updates == []
    assert_equal(batches(first), batches(second))
    # but members have other offsets, so a sharded dataset is read from the archive it was requested for
    data = [prepare(scan(p.stem, p), SIZE, tmp_path / "s", cache_limit_bytes=TOO_LITTLE) for p in (one, other)]
    assert_equal(batches(data[0]), batches(data[1]))


def test_an_image_that_changes_is_an_error_that_names_it(folder: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "images")
    data = prepare(scan("f", root), SIZE, tmp_path / "cache", cache_limit_bytes=TOO_LITTLE)
    photo(1).save(root / "bird" / "7.jpg", quality=30)
    with pytest.raises(DatasetError, match=r"1 image of .* changed, .* 'bird/7.jpg'.*add the dataset again"):
        data.train.take(np.arange(len(data.train)))


def test_listed_files_are_read_and_changed_ones_are_not(folder: Path, tmp_path: Path) -> None:
    names = ["bird/0.jpg", "çedilla/1.jpg"]
    archive = zipped(folder, tmp_path / "z.zip", zipfile.ZIP_DEFLATED)
    wanted = [(folder / name).read_bytes() for name in names]
    for kind, path in (("folder", folder), ("zip", archive)):
        listing = list_files(kind, path, names, DEFAULT_LIMITS)
        assert [listing.name(row) for row in range(len(listing))] == names
        files = ListedFiles(listing, DEFAULT_LIMITS)
        assert [files.read(row) for row in range(2)] == wanted
    content = bytearray(archive.read_bytes())
    start = content.index(b"bird/0.jpg") + 100
    content[start : start + 4] = bytes(255 - byte for byte in content[start : start + 4])
    archive.write_bytes(content)
    assert [files.read(row) for row in range(2)] == [b"", wanted[1]]
    archive.write_bytes(b"")
    assert files.read(1) == b""


class TestReaders:
    def make(self, data: PreparedData, patience_s: float = 60) -> Readers:
        pixels = data.train.pixels
        assert isinstance(pixels, ShardedPixels)
        return Readers(pixels._entry.folder, pixels._listing, SIZE, DEFAULT_LIMITS, 2, patience_s)

    def test_a_killed_reader_is_reported_immediately(self, data: PreparedData) -> None:
        readers = self.make(data)
        readers.decode(np.arange(4))
        others = readers.pids
        os.kill(readers.pids[1], signal.SIGKILL)
        with pytest.raises(RuntimeError, match=f"reader process {others[1]} was killed by SIGKILL"):
            readers.decode(np.arange(4))
        assert not any(psutil.pid_exists(pid) for pid in others)
        with pytest.raises(RuntimeError, match="earlier error"):  # not the answer to another request
            readers.decode(np.arange(4))

    def test_a_silent_reader_is_not_waited_for_forever(self, data: PreparedData) -> None:
        readers = self.make(data, patience_s=0.3)
        psutil.Process(readers.pids[0]).suspend()
        with pytest.raises(RuntimeError, match=r"sent nothing for 0\.3 s"):
            readers.decode(np.arange(4))

    def test_a_reader_that_runs_out_of_memory_reports_it(self, data: PreparedData) -> None:
        readers = self.make(data)
        readers.decode(np.arange(4))
        psutil.Process(readers.pids[0]).rlimit(psutil.RLIMIT_AS, (1, 1))
        with pytest.raises(MemoryError, match=f"reader process {readers.pids[0]} ran out of memory"):
            readers.decode(np.zeros(60_000, dtype=np.int64))

    def test_they_are_one_batch_ahead_and_no_more(self, data: PreparedData) -> None:
        asked = []

        def wanted() -> Iterator[NDArray[np.int64]]:
            for number in range(4):
                asked.append(number)
                yield np.arange(number, number + 4)

        seen = [len(asked) for _ in self.make(data).decode_ahead(wanted())]
        assert seen == [2, 3, 4, 4]

    def test_readers_end_with_the_object_that_started_them(self, data: PreparedData) -> None:
        readers = self.make(data)
        readers.decode(np.arange(4))
        pids = readers.pids
        ahead = readers.decode_ahead([np.arange(4)] * 3)
        next(ahead)
        del ahead, readers
        assert not any(psutil.pid_exists(pid) for pid in pids)

    @pytest.mark.long
    def test_readers_die_with_a_search_that_is_killed(self, folder: Path, tmp_path: Path) -> None:
        code = (
            "import sys, time, numpy as np; from pathlib import Path\n"
            "from autonl_core.data.prepare import prepare; from autonl_core.datasets.scan import scan\n"
            f"data = prepare(scan('f', Path(sys.argv[1])), {SIZE}, Path(sys.argv[2]), cache_limit_bytes={TOO_LITTLE})\n"
            "batches = data.train.take_ahead([np.arange(8)] * 100); next(batches)\n"
            "print(*data.train.pixels.readers.pids, flush=True); time.sleep(600)"
        )
        command = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            readers = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
            assert readers
            assert all(reader.is_running() for reader in readers)
            process.kill()
        _, alive = psutil.wait_procs(readers, timeout=10)
        assert alive == []
