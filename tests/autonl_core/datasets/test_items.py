"""Splits by image, or by patient where a table names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from autonl_core.datasets.items import Item, split_items
from autonl_core.datasets.layout import Layout
from autonl_core.datasets.layouts.groupings import Grouping


def layout(labels: list[int], **columns: list[str]) -> Layout:
    names = [f"{n:03}.png" for n in range(len(labels))]
    groupings = [
        Grouping(("m.csv",), column, dict(zip(names, values, strict=True))) for column, values in columns.items()
    ]
    images = {name: (None, label) for name, label in zip(names, labels, strict=True)}
    return Layout(("a", "b"), images, groupings=tuple(groupings))


def crossing(items: list[Item], values: Mapping[str, str]) -> set[str]:
    """Values on both sides."""
    train, test = ({values[item.member] for item in items if item.split == split} for split in ("train", "test"))
    return train & test


LABELS = [n % 2 for n in range(100)]
PATIENTS = [f"p{n // 4}" for n in range(100)]


def test_the_images_of_a_patient_are_on_one_side() -> None:
    alone, found = layout(LABELS), layout(LABELS, patient=PATIENTS)
    values = found.groupings[0].values
    assert crossing(split_items(alone), values)
    items = split_items(found)
    assert not crossing(items, values)
    assert Counter((item.label, item.split) for item in items) == {
        (label, split): count for label in (0, 1) for split, count in (("train", 40), ("test", 10))
    }
    assert len({item.group for item in items}) == 25  # so that validation images are drawn in the same way
    assert items == split_items(found)


def test_images_of_one_picture_join_their_patients() -> None:
    """Images 0 and 99 show one picture, so that two patients are one group."""
    found = layout(LABELS, patient=PATIENTS)
    items = split_items(found, {"000.png": 0, "099.png": 0})
    assert items[0].group == items[99].group == items[3].group == items[96].group
    assert not crossing(items, found.groupings[0].values)


def test_where_a_class_would_not_get_its_share_the_split_is_drawn_by_image() -> None:
    cameras = [f"c{n % 3}" for n in range(100)]
    assert split_items(layout(LABELS, camera=cameras)) == split_items(layout(LABELS))
    one_each = ["p0" if label else f"p{n}" for n, label in enumerate(LABELS)]  # a class of one patient
    assert split_items(layout(LABELS, patient=one_each)) == split_items(layout(LABELS))


def test_the_first_column_that_can_be_kept_is() -> None:
    found = layout(LABELS, camera=[f"c{n % 2}" for n in range(100)], patient=PATIENTS)
    items = split_items(found)
    assert crossing(items, found.groupings[0].values) == {"c0", "c1"}
    assert not crossing(items, found.groupings[1].values)


def test_given_splits_stay_and_groups_are_for_validation() -> None:
    found = layout(LABELS, patient=PATIENTS)
    images = {name: ("test" if n < 10 else "train", label) for n, (name, (_, label)) in enumerate(found.images.items())}
    items = split_items(Layout(("a", "b"), images, groupings=found.groupings))  # type: ignore[arg-type]
    assert [item.split for item in items] == ["test"] * 10 + ["train"] * 90
    assert len({item.group for item in items}) == 25
