"""Images of one patient in both splits are reported, and kept on one side where the split is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonl_core.dataset_check.check import Checked
from autonl_core.datasets.scan import list_items
from tests.autonl_core.dataset_check.test_check import Files, check
from tests.autonl_core.photo_like_images import encoded, photo

CLASSES = ("cat", "dog")


def dataset(column: str, values: list[str], *, split: bool = False) -> Files:
    """60 images of two classes, and a table with a value for each."""
    files: Files = {}
    lines = [f"file,{column}"]
    for number, value in enumerate(values):
        folder = ("test/" if number % 5 == 4 else "train/") if split else ""
        files[f"{folder}{CLASSES[number % 2]}/{number:03}.png"] = encoded(photo(number, 32))
        lines.append(f"{number:03}.png,{value}")
    return files | {"table.csv": "\n".join(lines).encode()}


def details(checked: Checked) -> dict[str, str]:
    return {problem.code: problem.detail for problem in checked.report.problems}


def test_a_drawn_split_divides_no_patient_and_says_so(tmp_path: Path) -> None:
    checked = check(tmp_path, dataset("patient_id", [f"P{n // 3}" for n in range(60)]))
    found = details(checked)
    assert "drawn by 'patient_id' of table.csv" in found["test_split_by_group"]
    assert "groups_across_splits" not in found
    assert "not_images" not in found  # the table is used
    assert checked.spec is not None
    sides: dict[int, set[str]] = {}
    for item in list_items(checked.spec):
        sides.setdefault(int(item.member[-7:-4]) // 3, set()).add(item.split)
    assert [len(splits) for splits in sides.values()] == [1] * 20
    assert (checked.spec.train_images, checked.spec.test_images) == (48, 12)


def test_where_it_cannot_be_kept_apart_the_images_are_named_with_the_way_out(tmp_path: Path) -> None:
    checked = check(tmp_path, dataset("camera", [f"cam{n % 3}" for n in range(60)]))
    (problem,) = (each for each in checked.report.problems if each.code == "groups_across_splits")
    assert (problem.severity, problem.count) == ("warning", 12)
    assert "3 of 3 values, such as 'cam0'" in problem.detail
    assert "folders train/ and test/" in problem.detail
    assert "test_split_by_group" not in details(checked)


@pytest.mark.parametrize(
    ("values", "shared"), [([f"P{n // 5}" for n in range(60)], 12), ([f"P{n % 5}" for n in range(60)], 0)]
)
def test_given_splits_stay_as_they_are_and_shared_patients_are_reported(
    tmp_path: Path, values: list[str], shared: int
) -> None:
    """Every fifth image is for testing: of every patient one, or all those of patient 4."""
    checked = check(tmp_path, dataset("subject", values, split=True))
    found = details(checked)
    assert checked.spec is not None
    assert checked.spec.test_images == 12
    assert ("groups_across_splits" in found) is bool(shared)
    if shared:
        assert f"{shared} of 12 values, such as 'P0'" in found["groups_across_splits"]
        assert "move all images of one value into the same split" in found["groups_across_splits"]
    assert "test_split_by_group" not in found
