"""Columns that say which images belong together."""

from __future__ import annotations

import pytest

from autonl_core.datasets.layout import Layout
from autonl_core.datasets.layouts.group_names import group_rank
from tests.autonl_core.datasets.layouts.test_label_files import IMAGE, columns, layout

PATIENT = ("p1", "p1", "p2", "p2", "p3", "p3")
CLASSES = ("cat", "dog", "cat", "dog", "cat", "dog")
FOLDERS = {f"{name}/{n}.jpg": IMAGE for n, name in enumerate(CLASSES)}


def grouped(found: Layout) -> list[tuple[tuple[str, ...], str]]:
    return [(grouping.files, grouping.column) for grouping in found.groupings]


@pytest.mark.parametrize(
    "name",
    ["patient", "Patient ID", "patient_id", "PatientNumber", "subject", "participant_no", "animal_id", "session",
     "video", "camera", "Camera Trap", "hospital", "site_id", "paciente", "患者", "lesion_id"],
)  # fmt: skip
def test_names_of_groups(name: str) -> None:
    assert group_rank(name) is not None


@pytest.mark.parametrize("name", ["label", "animal", "plant", "scene", "site", "age", "sex", "id", "location", "group"])
def test_names_of_other_columns(name: str) -> None:
    assert group_rank(name) is None


def test_patients_come_before_sessions_and_these_before_cameras() -> None:
    assert [group_rank(name) for name in ("patient", "session", "camera")] == [0, 1, 2]


@pytest.mark.parametrize("how", ["auto", "CLASS"])
def test_a_table_beside_class_folders_groups_their_images(how: str) -> None:
    found = layout(FOLDERS | {"m.csv": columns(camera=CLASSES[::-1], patient_id=PATIENT)}, how)
    assert found.classes == ("cat", "dog")
    assert grouped(found) == [(("m.csv",), "patient_id"), (("m.csv",), "camera")]
    assert found.groupings[0].values == {f"{CLASSES[n]}/{n}.jpg": PATIENT[n] for n in range(6)}
    assert (found.label_files, found.tables) == ((), ("m.csv",))


def test_the_class_itself_unique_values_and_missing_ones_do_not_group() -> None:
    table = columns(
        patient_id=PATIENT, subject=range(6), session=["-", "NA", "", "?", "nan", "unknown"], visit=["1"] * 6
    )
    assert grouped(layout(FOLDERS | {"m.csv": table}, "m.csv:patient_id")) == []


def test_tables_of_several_splits_mean_the_same_patients() -> None:
    images = {f"{split}/{name}/{split}{n}.jpg": IMAGE for split in ("train", "test") for n, name in enumerate(CLASSES)}
    tables = {
        f"{split}.csv": columns(patient=PATIENT).replace(b"\n", f"\n{split}".encode()) for split in ("train", "test")
    }
    found = layout(images | tables)
    assert grouped(found) == [(("test.csv", "train.csv"), "patient")]
    assert len(found.groupings[0].values) == 12
