"""Which formats are withheld, and what makes a search fail: decided from counts alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autonl_core.bundle.scoring import CleanScores, allowed_drop, judge, unscored
from autonl_core.errors import VerificationError
from autonl_core.spec.formats import FORMATS, NETWORK_FORMATS


def tally(correct: int, **changes: Any) -> dict[str, Any]:
    """A tally of 200 images that agrees with PyTorch, with `changes`."""
    agrees = {"disagreeing_images": 0, "disagreeing_beyond_ties": 0, "max_logit_diff": 0.0, "error": None}
    return {"correct": correct, "top1_pct": correct / 2, **agrees, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for facts in FORMATS.values():
        (tmp_path / facts.file_name).write_bytes(b"12345")
    return tmp_path


def scores(**formats: Any) -> CleanScores:
    by_name = {name.replace("_", "-"): of_format for name, of_format in formats.items()}
    whole = {"images": 200, "ties": 0, "pixels_sha256": "", "versions": {}, "formats": by_name}
    return CleanScores.from_json(whole)


def withheld(folder: Path, **formats: Any) -> dict[str, str | None]:
    return {name: parity.withheld for name, parity in judge(scores(**formats), folder, 2.0).items()}


def test_a_format_that_agrees_is_delivered_with_its_size_and_digest(folder: Path) -> None:
    parity = judge(scores(safetensors=tally(150), onnx=tally(150, max_logit_diff=1e-6)), folder, 2.0)
    assert {name: of_format.withheld for name, of_format in parity.items()} == {"safetensors": None, "onnx": None}
    assert (parity["onnx"].correct, parity["onnx"].top1_pct, parity["onnx"].max_logit_diff) == (150, 75.0, 1e-6)
    assert parity["onnx"].size_bytes == 5
    assert parity["onnx"].sha256 == "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"


def test_only_ties_may_be_predicted_differently(folder: Path) -> None:
    tie, no_tie = {"disagreeing_images": 3}, {"disagreeing_images": 3, "disagreeing_beyond_ties": 1}
    found = withheld(folder, safetensors=tally(150), onnx=tally(149, **tie), pt2=tally(150, **no_tie))
    assert (found["safetensors"], found["onnx"]) == (None, None)
    assert found["pt2"] is not None
    assert "1 of 200 test images" in found["pt2"]


@pytest.mark.parametrize(("correct", "kept"), [(160, True), (146, True), (145, False), (0, False)])
def test_a_lossy_format_may_lose_the_allowed_points_and_no_more(folder: Path, correct: int, kept: bool) -> None:
    """2.0 points of 75% are left at 146 of 200 images, 73%."""
    found = withheld(folder, safetensors=tally(150), onnx_int8=tally(correct, disagreeing_beyond_ties=9))
    assert (found["onnx-int8"] is None) == kept
    if not kept:
        lost = f"it has {correct} of 200 test images right, {150 - correct} fewer than PyTorch"
        rule = "export.int8_max_drop_points allows 2 points, here 4 images"
        assert found["onnx-int8"] == f"{lost}; {rule}"


@pytest.mark.parametrize(
    ("images", "points", "allowed"),
    [
        (200, 2.0, 4),
        (41, 2.0, 1),
        (1, 2.0, 1),
        (99, 0.5, 1),
        (400, 0.5, 2),
        (10_000, 0.29, 29),
        (41, 0.0, 0),
        (9, 100, 9),
    ],
)
def test_one_image_is_no_evidence(images: int, points: float, allowed: int) -> None:
    """Of 41 test images it is 2.4 points."""
    assert allowed_drop(images, points) == allowed


def test_a_file_that_cannot_be_scored_is_withheld_with_the_error_of_its_runtime(folder: Path) -> None:
    found = withheld(folder, safetensors=tally(150), torchscript=tally(0, error="RuntimeError: no such operator"))
    assert found["torchscript"] == "it cannot be scored: RuntimeError: no such operator"


def test_a_file_that_was_not_scored_is_withheld(folder: Path) -> None:
    (folder / FORMATS["pt2"].file_name).unlink()
    found = unscored(scores(safetensors=tally(150), onnx=tally(150)), folder)
    left = set(NETWORK_FORMATS) - {"safetensors", "onnx", "pt2"}
    assert {name: parity.withheld for name, parity in found.items()} == dict.fromkeys(
        left, "verify.py did not score it"
    )


def test_without_a_scored_checkpoint_the_search_fails(folder: Path) -> None:
    with pytest.raises(VerificationError, match=r"model\.safetensors .* no such tensor"):
        withheld(folder, safetensors=tally(0, error="no such tensor"), onnx=tally(150))
    with pytest.raises(VerificationError, match="is missing"):
        withheld(folder, onnx=tally(150))


@pytest.mark.parametrize(
    "said",
    [
        "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory",
        "RuntimeException: [ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation",
        "RuntimeException: [ONNXRuntimeError] : 6 : bfc_arena.cc:376 Failed to allocate memory for requested buffer",
    ],
)
def test_exhausted_memory_is_not_blamed_on_a_format(folder: Path, said: str) -> None:
    with pytest.raises(MemoryError, match="onnx, while it was scored"):
        withheld(folder, safetensors=tally(150), onnx=tally(0, error=said))
