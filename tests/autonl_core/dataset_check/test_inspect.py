"""Opening images: the same rows whatever the number of processes, and none is opened twice for one check."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from autonl_core.data.listing import list_files
from autonl_core.data.reader_process import ReaderProcess
from autonl_core.dataset_check import inspect as inspecting
from autonl_core.dataset_check import inspectors
from autonl_core.dataset_check.inspect import Images, Inspected, inspect
from autonl_core.dataset_check.inspectors import Inspectors, Portion
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from tests.autonl_core.photo_like_images import encoded, packed, photo

PORTION = 7
ROOT = Path(__file__).parents[3]
FAULTY = "tests.autonl_core.dataset_check.faulty_worker"


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspecting, "PORTION", PORTION)


def contents() -> dict[str, bytes]:
    """Images of several kinds, some of them damaged."""
    files = {
        f"{number:03}": encoded(photo(number, 20 + number), "PNG" if number % 3 else "JPEG") for number in range(40)
    }
    files |= {
        "005": b"",
        "017": b"no image",
        "030": files["030"][:300],
        "039": encoded(photo(1).convert("CMYK"), "TIFF"),
    }
    return files


def images(folder: Path, files: dict[str, bytes]) -> Images:
    return Images("zip", packed(folder / "images.zip", files), list(files), "content")


def rows_of(found: Inspected) -> list[object]:
    arrays = (found.traits, found.sizes, found.descriptors, found.means, found.colours)
    return [found.digests, list(found.problems.items()), dict(found.formats), *(array.tobytes() for array in arrays)]


@pytest.mark.long
def test_the_same_rows_whatever_the_number_of_processes(tmp_path: Path) -> None:
    source = images(tmp_path, contents())
    alone = inspect(source, DEFAULT_LIMITS, tmp_path, inspectors=Inspectors(1))
    assert list(alone.problems) == [5, 17, 30]
    assert dict(alone.formats) == {"JPEG": 12, "PNG": 24, "TIFF": 1}
    assert np.flatnonzero(alone.sizes[:, 0] == 0).tolist() == [5, 17, 30]
    for count in (2, 5, 50):
        assert rows_of(inspect(source, DEFAULT_LIMITS, tmp_path, inspectors=Inspectors(count))) == rows_of(alone)


def test_progress_grows_to_one(tmp_path: Path) -> None:
    seen: list[float] = []
    inspect(images(tmp_path, contents()), DEFAULT_LIMITS, tmp_path, on_progress=seen.append)
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (6, 1.0)


class TestSaved:
    def test_what_was_saved_is_not_opened_again(self, tmp_path: Path) -> None:
        source = images(tmp_path, contents())
        first = inspect(source, DEFAULT_LIMITS, tmp_path, saved_dir=tmp_path / "saved")
        source.path.write_bytes(b"gone")  # opening any image would fail
        assert rows_of(inspect(source, DEFAULT_LIMITS, tmp_path, saved_dir=tmp_path / "saved")) == rows_of(first)

    def test_only_what_is_missing_or_damaged_is_opened(self, tmp_path: Path) -> None:
        files = contents()
        source = images(tmp_path, files)
        first = inspect(source, DEFAULT_LIMITS, tmp_path, saved_dir=tmp_path / "saved")
        paths = sorted((tmp_path / "saved").iterdir(), key=lambda path: int(path.name.rpartition("-")[2]))
        paths[1].unlink()
        paths[3].write_bytes(paths[3].read_bytes()[:-1])
        others = [name for row, name in enumerate(files) if row // PORTION not in (1, 3)]
        images(tmp_path, files | dict.fromkeys(others, b"not to be opened"))
        assert rows_of(inspect(source, DEFAULT_LIMITS, tmp_path, saved_dir=tmp_path / "saved")) == rows_of(first)
        assert len(list((tmp_path / "saved").iterdir())) == len(paths)

    def test_other_content_or_other_limits_begin_anew(self, tmp_path: Path) -> None:
        files = contents()
        source = images(tmp_path, files)
        inspect(source, DEFAULT_LIMITS, tmp_path, saved_dir=tmp_path / "saved")
        small = inspect(source, Limits(image_pixels=25**2), tmp_path, saved_dir=tmp_path / "saved")
        assert len(small.problems) > 30
        images(tmp_path, files | {"000": b"damaged now"})
        changed = dataclasses.replace(source, content="changed")
        assert 0 in inspect(changed, DEFAULT_LIMITS, tmp_path, saved_dir=tmp_path / "saved").problems


class TestFaults:
    """Images that end the process that opens them."""

    @pytest.fixture(autouse=True)
    def _faulty_decoders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inspectors, "_MODULE", FAULTY)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where that module is found

    def test_an_image_that_crashes_its_decoder_cannot_be_read_and_costs_no_other(self, tmp_path: Path) -> None:
        files = contents()
        expected = inspect(images(tmp_path, files | {"020": b"junk"}), DEFAULT_LIMITS, tmp_path)
        found = inspect(
            images(tmp_path, files | {"020": b"SIGSEGV"}), DEFAULT_LIMITS, tmp_path, inspectors=Inspectors(2)
        )
        assert found.problems.pop(20) == "the process that decoded it was killed by SIGSEGV, twice"
        expected.problems.pop(20)
        expected.digests[20] = found.digests[20]
        assert rows_of(found) == rows_of(expected)
        assert len(set(found.digests)) == 40

    def test_an_image_whose_process_is_killed_from_outside_fails_the_check_by_name(self, tmp_path: Path) -> None:
        files = contents() | {"020": b"SIGKILL"}
        with pytest.raises(RuntimeError, match="the process that opened '020' was killed by SIGKILL"):
            inspect(images(tmp_path, files), DEFAULT_LIMITS, tmp_path, inspectors=Inspectors(2))

    def test_an_image_that_takes_for_ever_cannot_be_read_and_costs_no_other(self, tmp_path: Path) -> None:
        limits = dataclasses.replace(DEFAULT_LIMITS, image_s=3.0)
        began = time.monotonic()
        found = inspect(images(tmp_path, contents() | {"020": b"FOREVER"}), limits, tmp_path, inspectors=Inspectors(2))
        assert found.problems.pop(20) == "the process that decoded it took more than 3 s, twice"
        assert list(found.problems) == [5, 17, 30]
        assert 6 <= time.monotonic() - began < 60

    def test_an_image_that_needs_all_memory_fails_the_check_by_name(self, tmp_path: Path) -> None:
        files = contents() | {"020": b"MEMORY"}
        with pytest.raises(MemoryError, match="'020' needs more memory than the check may use"):
            inspect(images(tmp_path, files), DEFAULT_LIMITS, tmp_path, inspectors=Inspectors(2))

    def test_many_images_that_crash_decoders_fail_the_check(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspectors, "MAX_FATAL", 1)
        files = contents() | {"020": b"SIGSEGV", "021": b"SIGABRT"}
        with pytest.raises(RuntimeError, match="more than 1 images ended the process that opened them; the last one"):
            inspect(images(tmp_path, files), DEFAULT_LIMITS, tmp_path, inspectors=Inspectors(1))


class TestInspectors:
    def make(self, folder: Path, files: dict[str, bytes], count: int = 2) -> Inspectors:
        source = images(folder, files)
        listing = list_files(source.kind, source.path, source.names, DEFAULT_LIMITS)
        started = Inspectors(count)
        started.start(count)
        started.begin(folder, listing, DEFAULT_LIMITS)
        return started

    def portions(self, count: int) -> Iterator[np.ndarray]:
        return (np.arange(start, start + 5) for start in range(0, count, 5))

    def test_an_image_too_large_for_a_share_of_the_memory_is_opened_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More memory than the share: 27 million pixels of three bytes."""
        monkeypatch.setattr(inspectors, "_share_bytes", lambda count: 60 << 20)
        files = contents() | {"003": encoded(Image.new("RGB", (9000, 3000), "teal"))}
        received: list[tuple[int, int]] = []
        receive = inspectors._receive_block

        def note(process: ReaderProcess, portion: Portion, patience_s: float) -> None:
            receive(process, portion, patience_s)
            received.append((int(portion.rows[0]), len(portion.rows)))

        monkeypatch.setattr(inspectors, "_receive_block", note)
        (portion,) = self.make(tmp_path, files).inspect([np.arange(5)])
        assert received == [(0, 5), (3, 1)]
        assert portion.records["size"][3].tolist() == [9000, 3000]
        assert portion.problems == {}

    @pytest.mark.long
    def test_a_process_killed_from_outside_is_replaced(self, tmp_path: Path) -> None:
        files = contents()
        expected = {int(portion.rows[0]): portion for portion in self.make(tmp_path, files).inspect(self.portions(40))}
        opening = self.make(tmp_path, files)
        found = []
        for portion in opening.inspect(self.portions(40)):
            found.append(portion)
            if len(found) == 1:
                for pid in opening.pids:
                    os.kill(pid, signal.SIGKILL)
        assert sorted(int(portion.rows[0]) for portion in found) == sorted(expected)
        for portion in found:
            other = expected[int(portion.rows[0])]
            assert portion.records.tobytes() == other.records.tobytes()
            assert portion.problems == other.problems

    def test_processes_end_with_the_object_that_started_them(self, tmp_path: Path) -> None:
        opening = self.make(tmp_path, contents())
        halfway = opening.inspect(self.portions(40))
        next(halfway)
        pids = opening.pids
        assert all(psutil.pid_exists(pid) for pid in pids)
        del halfway, opening
        deadline = time.monotonic() + 10
        while any(psutil.pid_exists(pid) for pid in pids):
            assert time.monotonic() < deadline

    def test_memory_bounds_the_number_of_processes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inspectors, "available_cpus", lambda: 64)
        for limit_bytes, count in ((0, 64), (4 << 30, 15), (1 << 30, 3), (300 << 20, 1)):
            monkeypatch.setattr(inspectors, "_limit_bytes", lambda limit_bytes=limit_bytes: limit_bytes)
            assert inspectors.inspector_count() == count
            shares = inspectors._share_bytes(count) * (count + 1)
            assert shares <= limit_bytes
