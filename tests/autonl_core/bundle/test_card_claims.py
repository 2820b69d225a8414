"""What a model card claims: nothing that its own figures contradict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autonl_core.bundle.bundle import Bundle
from autonl_core.bundle.card import write_card
from autonl_core.bundle.class_figures import class_figures
from autonl_core.bundle.latency import Latencies
from autonl_core.spec.result import ClassResult
from tests.autonl_core.bundle.small_bundle import Made


def card_of(made: Made, folder: Path, **changes: object) -> str:
    """The card of the bundle with `changes`."""
    bundle: Bundle = replace(made.bundle, folder=made.copy(folder), **changes)  # type: ignore[arg-type]
    write_card(made.run, made.network, bundle)
    return (folder / "README.md").read_text()


def latencies(spread_pct: float) -> Latencies:
    """Eight bits are the fastest, then ONNX; all spread so far."""
    median_ms = {"eager": {"1": 3.77}, "onnx": {"1": 1.38}, "onnx-int8": {"1": 0.693}}
    return Latencies(median_ms, {form: {"1": spread_pct} for form in median_ms})


def test_what_is_withheld_is_not_recommended(made: Made, tmp_path: Path) -> None:
    withheld = {**made.bundle.parity, "onnx-int8": replace(made.bundle.parity["onnx-int8"], withheld="it loses 5")}
    card = card_of(made, tmp_path / "b", parity=withheld, latencies=latencies(3.0))
    assert "| ONNX Runtime, 8 bits (withheld) | 0.693, spread 3% |" in card
    assert "Fastest for a batch of 1: ONNX Runtime, float32." in card
    card = card_of(made, tmp_path / "c", latencies=latencies(3.0))
    assert "Fastest for a batch of 1: ONNX Runtime, 8 bits." in card


def test_noisy_timings_have_no_winner(made: Made, tmp_path: Path) -> None:
    card = card_of(made, tmp_path / "b", latencies=latencies(476.0))
    assert "0.693, spread 476%, noisy" in card
    assert "Fastest for a batch of 1: not known, as timings are noisy" in card


def test_top1_has_its_interval(made: Made, tmp_path: Path) -> None:
    perfect = replace(made.bundle.score, correct=30, images=30)
    card = card_of(made, tmp_path / "b", score=perfect)
    assert "100.00% top-1 (30 of 30 test images; 95% interval 88.6% to 100.0%)" in card


FRACTURE = ClassResult("frac*ture", 5, 1, 1, 2)
HEALTHY = ClassResult("healthy", 80, 29, 28, 28)


def test_every_class_has_its_figures_and_those_with_few_images_are_named(made: Made, tmp_path: Path) -> None:
    card = card_of(made, tmp_path / "b", classes=(FRACTURE, HEALTHY))
    assert "| frac\\*ture | 5 | 1 | 1 | 100.0% | 21% to 100% |" in card
    assert "| healthy | 80 | 29 | 28 | 96.6% | 83% to 99% |" in card
    assert "Few images, below 20 for training or 20 for testing: frac\\*ture (5 and 1)." in card


@pytest.mark.parametrize("count", [30, 31])
def test_of_many_classes_those_with_the_lowest_recall_are_shown(count: int) -> None:
    classes = [ClassResult(f"class {number}", 100, 100, number, number) for number in range(count)]
    text = "\n".join(class_figures(classes))
    assert text.count("| class ") == 1 + 30
    assert ("lowest recall, of 31" in text) == (count == 31)
    assert "| class 30 |" not in text  # the best of 31, and there is none in 30
    assert "Few images" not in text
    assert list(class_figures(())) == []


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        ("by_slopes", "The architecture was found by a search under a limit on multiply-adds."),
        ("widest", "The search found nothing better than a plain network: this one has the most parameters"),
        ("uniform", "The search found nothing better than a plain network: this one has every block alike."),
    ],
)
def test_a_network_that_takes_no_search_is_not_said_to_be_found(
    made: Made, tmp_path: Path, origin: str, sentence: str
) -> None:
    assert sentence in " ".join(card_of(made, tmp_path / "b", origin=origin).split())
