"""Corrections of labels: what they change, what stays, and what is refused, all at once."""

from __future__ import annotations

import pytest

from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.corrections import CORRECTED, Correction, correct, corrected_report
from autonl_core.datasets.manifest import Manifest, Row
from autonl_core.errors import DatasetError

ROWS: tuple[Row, ...] = (
    ("train", 0, "cat/1.png", None),
    ("train", 0, "cat/2.png", 7),
    ("train", 0, "cat/3.png", 7),
    ("test", 0, "cat/4.png", None),
    ("test", 0, "cat/5.png", None),
    ("train", 1, "dog/1.png", None),
    ("train", 1, "dog/2.png", None),
    ("test", 1, "dog/3.png", None),
)
MANIFEST = Manifest("c0ffee", ("cat", "dog"), ROWS, ())


def correction(*leave_out: str, **relabel: str) -> Correction:
    """`relabel`: classes by the names of images, with `__` for a slash."""
    return Correction(
        frozenset(leave_out), {f"{name.replace('__', '/')}.png": label for name, label in relabel.items()}
    )


def test_images_are_left_out_or_get_another_class_and_keep_split_and_group() -> None:
    rows = correct(MANIFEST, correction("cat/1.png", cat__5="dog"))
    kept = [row for row in ROWS if row[2] not in ("cat/1.png", "cat/5.png")]
    assert rows == [*kept[:3], ("test", 1, "cat/5.png", None), *kept[3:]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (correction(), "it changes nothing: name images to leave out or to give another class"),
        (correction("cat/9.png"), "not used by this dataset: 'cat/9.png'"),
        (correction("cat/1.png", cat__1="dog"), "both left out and given a class: 'cat/1.png'"),
        (correction(cat__1="cow"), "no class of this dataset: 'cow'"),
        (correction("x", dog__9="cow"), "not used by this dataset: 'dog/9.png', 'x'; no class of this dataset: 'cow'"),
        (correction("dog/3.png"), "too few images would be left of 'dog' (test: 0 of 1)"),
        (correction(dog__1="cat"), "too few images would be left of 'dog' (train: 1 of 2)"),
    ],
)
def test_what_does_not_fit_is_refused_and_everything_is_listed(wrong: Correction, said: str) -> None:
    with pytest.raises(DatasetError) as refused:
        correct(MANIFEST, wrong)
    assert str(refused.value) == said


def test_the_report_counts_anew_and_says_what_was_changed() -> None:
    change = correction("cat/1.png", cat__5="dog")
    checked = DatasetReport(images=8, sheets=2)
    report = corrected_report(checked, "pets", MANIFEST.classes, correct(MANIFEST, change), change)
    assert (report.images, report.sheets) == (7, 0)
    assert report.classes == [{"name": "cat", "train": 2, "test": 1}, {"name": "dog", "train": 2, "test": 2}]
    (finding,) = report.problems
    assert (finding.code, finding.files) == (CORRECTED, ["cat/1.png", "cat/5.png"])
    assert checked.problems == []
