"""Comparing pixels in processes: the same answers whatever their number, and images that end one are survived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autonl_core.dataset_check import comparison as comparing
from autonl_core.dataset_check.comparison import Comparison
from autonl_core.dataset_check.inspect import Images, Inspected
from autonl_core.dataset_check.same_picture import compare
from autonl_core.datasets.limits import DEFAULT_LIMITS
from tests.autonl_core.photo_like_images import encoded, packed, photo

COUNT = 20
ROOT = Path(__file__).parents[3]
FAULTY = "tests.autonl_core.dataset_check.faulty_comparer"


def contents() -> dict[str, bytes]:
    """Every second image is a copy of the one before it."""
    return {
        f"{number:02}": encoded(photo(number // 2, 40), *(("JPEG",) if number % 2 else ())) for number in range(COUNT)
    }


def comparison(folder: Path, files: dict[str, bytes], most: int = 2) -> Comparison:
    found = Inspected(list(files))
    found.sizes[:] = 40
    return Comparison(
        Images("zip", packed(folder / "images.zip", files), list(files), ""), found, DEFAULT_LIMITS, folder, most
    )


def all_pairs() -> tuple[np.ndarray, np.ndarray]:
    one, other = np.triu_indices(COUNT, 1)
    order = np.random.default_rng(0).permutation(len(one))
    return one[order], other[order]


@pytest.mark.long
def test_the_same_answers_whatever_the_number_of_processes_and_the_order(tmp_path: Path) -> None:
    one, other = all_pairs()
    alone = comparison(tmp_path, contents(), 1).likeness(one, other)
    assert np.array_equal(alone["same"], (one // 2) == (other // 2))
    for most in (2, 5):
        comparing_too = comparison(tmp_path, contents(), most)
        assert comparing_too.likeness(one, other).tobytes() == alone.tobytes()
        assert comparing_too.likeness(one[::-1], other[::-1])[::-1].tobytes() == alone.tobytes()
        assert (comparing_too.count, comparing_too.problems) == (2 * len(one), [])


def test_distances_are_those_of_the_pixels(tmp_path: Path) -> None:
    files = contents() | {"01": encoded(photo(0, 40).rotate(3))}
    found = comparison(tmp_path, files).likeness(np.array([0]), np.array([1]))
    expected = compare(photo(0, 40), photo(0, 40).rotate(3))
    assert found["distance"].tolist() == pytest.approx([expected.distance])


def test_nothing_is_started_for_no_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_MODULE", "no.such.module")
    none = np.empty(0, np.int64)
    nothing = comparison(tmp_path, contents())
    assert nothing.same(none, none).tolist() == []
    nothing.dismiss()


def test_images_that_cannot_be_compared_are_named_and_different(tmp_path: Path) -> None:
    damaged = comparison(tmp_path, contents() | {"03": b"no image"})
    assert damaged.same(np.array([0, 2, 4]), np.array([1, 3, 5])).tolist() == [True, False, True]
    ((one, other, problem),) = damaged.problems
    assert (one, other) == ("02", "03")
    assert "not an image" in problem or "cannot" in problem


class TestFaults:
    @pytest.fixture(autouse=True)
    def _faulty_decoders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(comparing, "_MODULE", FAULTY)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where that module is found

    @pytest.mark.long
    def test_an_image_that_crashes_its_decoder_is_named_and_costs_no_other_pair(self, tmp_path: Path) -> None:
        one, other = all_pairs()
        faulty = comparison(tmp_path, contents() | {"05": b"SIGSEGV"})
        close = (one // 2 == other // 2) | (one == 5)
        same = faulty.same(one[close][:12], other[close][:12])
        expected = (one // 2 == other // 2) & (one != 5) & (other != 5)
        assert same.tolist() == expected[close][:12].tolist()
        assert faulty.problems
        assert all("05" in pair[:2] for pair in faulty.problems)
        assert {pair[2] for pair in faulty.problems} == {"the process that decoded it was killed by SIGSEGV, twice"}

    def test_a_process_killed_from_outside_fails_the_check_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="the process that opened '04' or '05' was killed by SIGKILL"):
            comparison(tmp_path, contents() | {"05": b"SIGKILL"}).same(np.array([4]), np.array([5]))

    def test_images_that_need_all_memory_fail_the_check_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(MemoryError, match="'04' or '05' needs more memory than the check may use"):
            comparison(tmp_path, contents() | {"05": b"MEMORY"}).same(np.array([4]), np.array([5]))
