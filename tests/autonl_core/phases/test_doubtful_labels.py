"""The labels that a network doubts: which they are, that images are named rightly, and that wrong ones are found."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from autonl_core.datasets.scan import list_items, scan
from autonl_core.phases.doubtful_labels import Doubts
from autonl_core.spec.doubtful_labels import KIND, listed
from autonl_core.spec.result import SearchResult
from tests.autonl_core.digit_archives import digits_zip, few_digits
from tests.autonl_core.small_searches import Recorder, search


def test_a_doubt_weighs_the_label_against_the_most_probable_other_class() -> None:
    probable = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.25, 0.25, 0.5]])
    doubts = Doubts()
    doubts(torch.empty(3, 3, 1, 1), torch.tensor([0, 0, 2]), probable.log())
    assert torch.cat(doubts.others).tolist() == [1, 2, 0]
    assert torch.cat(doubts.of_labels).tolist() == pytest.approx([0.7, 0.1, 0.5])
    assert torch.cat(doubts.of_others).tolist() == pytest.approx([0.2, 0.6, 0.25])


@pytest.mark.parametrize(("images", "expected"), [(10, 1), (1_000, 60), (40_000, 2_000)])
def test_a_person_looks_through_six_per_cent_and_never_more_than_two_thousand(images: int, expected: int) -> None:
    assert listed(images) == expected


def document(result: SearchResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.files[KIND].path.read_text())
    return found


@pytest.mark.long
def test_a_search_lists_them_with_the_names_of_their_images(uninterrupted: tuple[SearchResult, Recorder]) -> None:
    result, _ = uninterrupted
    dataset, found = few_digits(), document(uninterrupted[0])
    assert result.files[KIND].size_bytes == result.files[KIND].path.stat().st_size
    assert found["images"] == dataset.train_images + dataset.test_images
    assert len(found["labels"]) == listed(found["images"])
    items = {item.member: item for item in list_items(dataset)}
    for label in found["labels"]:
        item = items[label["image"]]
        assert (label["split"], label["label"]) == (item.split, dataset.classes[item.label])
        assert label["looks_like"] != label["label"]
        assert label["picture"].startswith("data:image/png;base64,")
    by_doubt = [label["looks_like_pct"] - label["label_pct"] for label in found["labels"]]
    assert by_doubt == pytest.approx(sorted(by_doubt, reverse=True), abs=0.02)  # rounded in the document


@pytest.mark.long
@pytest.mark.timeout(600)
def test_most_planted_wrong_labels_are_on_the_list(tmp_path: Path) -> None:
    planted = plant(digits_zip(tmp_path / "true.zip", per_class=170).location, tmp_path / "planted.zip")
    dataset = scan("planted", tmp_path / "planted.zip")
    result = search(tmp_path / "out", tmp_path / "cache", dataset, train={"epochs": 40, "batch_size": 32})
    found = {label["image"] for label in document(result)["labels"]}
    assert len(planted & found) >= 0.7 * len(planted), f"{len(planted & found)} of {len(planted)}"


def plant(source: str, target: Path) -> set[str]:
    """Move three of a hundred images into the folder of another class; the names of these."""
    rng, planted = random.Random(1), set()
    with zipfile.ZipFile(source) as true, zipfile.ZipFile(target, "w") as archive:
        names = true.namelist()
        wrong = set(rng.sample(names, round(0.03 * len(names))))
        for name in names:
            label, _, file = name.partition("/")
            if name in wrong:
                new = f"{rng.choice([other for other in '0123456789' if other != label])}/{file}"
                planted.add(new)
            archive.writestr(new if name in wrong else name, true.read(name))
    return planted
