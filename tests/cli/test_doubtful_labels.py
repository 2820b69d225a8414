"""Doubtful labels and corrections on the command line."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from autonl_core.spec.doubtful_labels import DoubtfulLabel, DoubtfulLabels
from cli.correction_files import read_classes, read_names
from cli.errors import CommandError
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import check_datasets, finish
from tests.autonl_core.digit_archives import FEW_DIGITS_ZIP
from tests.cli.test_commands import as_json, autonl
from tests.store.sample_rows import claim


def test_the_most_doubtful_are_shown_and_all_on_request(service: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k")["id"]
    labels = [DoubtfulLabel(f"digit-{number:04}", "train", "7", 2.5, "1", 97.0) for number in range(40)]
    finish(stores, claim(stores), tmp_path, doubtful=DoubtfulLabels(1797, labels))
    shown = autonl("doubtful-labels", search_id).stdout
    assert ["digit-0000", "train", "7", "2.50%", "1", "97.00%"] in [line.split() for line in shown.splitlines()]
    assert "digit-0029" in shown
    assert "digit-0030" not in shown
    assert "40 of 1,797 images are listed; 10 more: --all" in shown
    assert "digit-0039" in autonl("doubtful-labels", search_id, "--all").stdout
    assert as_json("doubtful-labels", search_id) == service.get(f"/searches/{search_id}/doubtful-labels").json()


def test_a_dataset_is_corrected_by_files(service: httpx.Client, settings: Settings, tmp_path: Path) -> None:
    content = FEW_DIGITS_ZIP.read_bytes()
    service.post("/datasets?name=few", content=content, headers={"Content-Type": "application/zip"})
    check_datasets(settings)
    (tmp_path / "wrong.txt").write_text("nowhere.png\n")
    refused = autonl("dataset", "correct", "few", "few-2", "--leave-out", str(tmp_path / "wrong.txt"))
    assert refused.exit_code != 0
    assert "not used by this dataset: 'nowhere.png'" in refused.output


def test_files_of_spreadsheets_are_read(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\ufeffa b.png\n\nc.png\n", encoding="utf-8")
    assert read_names(tmp_path / "names.txt") == ["a b.png", "c.png"]
    (tmp_path / "classes.csv").write_text('image,class,note\n"a,b.png",cat,x\nc.png,dog,\n', encoding="utf-8")
    assert read_classes(tmp_path / "classes.csv") == {"a,b.png": "cat", "c.png": "dog"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,class\na,b\n", "needs the columns image and class; it has: name, class"),
        ("", "it has: no rows"),
        ("image,class\na,cat\na,dog\n", "gives 'a' two classes: 'cat' and 'dog'"),
    ],
)
def test_a_table_that_does_not_say_it_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "classes.csv").write_text(content)
    with pytest.raises(CommandError, match=said):
        read_classes(tmp_path / "classes.csv")
