"""Saved rows: read back as they were, and never if they are damaged or belong to something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autonl_core.dataset_check.saved_rows import SavedRows, saved_key
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits

ROW = np.dtype([("a", np.int32), ("b", np.float32, 3)])


def rows() -> np.ndarray:
    found = np.zeros(5, ROW)
    found["a"], found["b"] = np.arange(5), np.random.default_rng(0).normal(size=(5, 3))
    return found


def saved(folder: Path, key: str = "k") -> SavedRows:
    return SavedRows(folder, key, ROW)


def test_rows_and_problems_are_read_back_by_another_attempt(tmp_path: Path) -> None:
    saved(tmp_path / "s").save(10, rows(), {3: "damaged"})
    loaded = saved(tmp_path / "s").load(10, 5)
    assert loaded is not None
    assert loaded[0].tobytes() == rows().tobytes()
    assert loaded[1] == {3: "damaged"}
    assert saved(tmp_path / "s").load(15, 5) is None
    assert saved(tmp_path / "s").load(10, 4) is None


@pytest.mark.parametrize("damage", ["truncated", "emptied", "a bit", "longer"])
def test_a_damaged_file_counts_as_missing_and_is_replaced(tmp_path: Path, damage: str) -> None:
    kept = saved(tmp_path / "s")
    kept.save(0, rows(), {})
    (path,) = (tmp_path / "s").iterdir()
    data = path.read_bytes()
    other = bytes([data[40] ^ 1])
    damaged = {"truncated": data[:-7], "emptied": b"", "a bit": data[:40] + other + data[41:], "longer": data + b"x"}
    path.write_bytes(damaged[damage])
    assert kept.load(0, 5) is None
    kept.save(0, rows(), {})
    assert kept.load(0, 5) is not None


def test_rows_of_another_key_are_deleted(tmp_path: Path) -> None:
    saved(tmp_path / "s", "old").save(0, rows(), {})
    assert saved(tmp_path / "s", "new").load(0, 5) is None
    assert saved(tmp_path / "s", "old").load(0, 5) is None


def test_saving_never_fails(tmp_path: Path) -> None:
    kept = saved(tmp_path / "s")
    (tmp_path / "s").rmdir()  # another attempt ended this check
    kept.save(0, rows(), {})
    assert kept.load(0, 5) is None


def test_the_key_depends_on_all_that_the_rows_depend_on() -> None:
    keys = [
        saved_key("one", ["a", "b"], DEFAULT_LIMITS),
        saved_key("two", ["a", "b"], DEFAULT_LIMITS),
        saved_key("one", ["a", "c"], DEFAULT_LIMITS),
        saved_key("one", ["a", "b"], Limits(image_pixels=5)),
    ]
    assert len(set(keys)) == 4
    assert saved_key("one", ["a", "b"], Limits()) == keys[0]
