"""A search result as JSON and back, including the rows that earlier versions stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonl_core.spec.formats import NETWORK_FORMATS
from autonl_core.spec.not_sure import NotSure
from autonl_core.spec.pretrained_start import PretrainedStart, ResolutionTrial
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.spec.progress import ArchitectureRecord
from autonl_core.spec.result import BaselineResult, Certificate, ClassResult, FormatParity, ResultFile, SearchResult
from autonl_core.spec.weight_set import EFFICIENTNET_LITE

COUNTS = st.integers(min_value=0, max_value=2**53)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(max_size=12)
FILE_NAMES = st.from_regex(r"[a-z]{1,8}\.[a-z]{1,4}", fullmatch=True).map(Path)
JSON_OBJECTS = st.dictionaries(WORDS, st.none() | COUNTS | NUMBERS | WORDS | st.lists(COUNTS, max_size=3), max_size=3)

ARCHITECTURES = st.builds(
    ArchitectureRecord,
    arch_id=WORDS,
    arch=JSON_OBJECTS,
    arch_string=WORDS,
    macs=COUNTS,
    params=COUNTS,
    val_top1_pct=st.none() | NUMBERS,
    test_top1_pct=st.none() | NUMBERS,
    test_top5_pct=st.none() | NUMBERS,
    trained=st.booleans(),
)
PARITIES = st.builds(
    FormatParity,
    correct=st.none() | COUNTS,
    top1_pct=st.none() | NUMBERS,
    max_logit_diff=st.none() | NUMBERS,
    disagreeing_images=st.none() | COUNTS,
    size_bytes=st.none() | COUNTS,
    sha256=st.none() | WORDS,
    withheld=st.none() | WORDS,
)
CERTIFICATES = st.builds(
    Certificate,
    counted_on=WORDS,
    rule=WORDS,
    resolution=COUNTS,
    target_macs=COUNTS,
    achieved_macs=COUNTS,
    slack_macs=COUNTS,
    slack_pct=NUMBERS,
    by_op=st.dictionaries(WORDS, COUNTS, max_size=3),
)
CLASSES = st.builds(ClassResult, name=WORDS, train_images=COUNTS, test_images=COUNTS, correct=COUNTS, predicted=COUNTS)
BASELINES = st.builds(
    BaselineResult,
    name=WORDS,
    arch_string=WORDS,
    macs=COUNTS,
    params=COUNTS,
    test_correct=st.none() | COUNTS,
    test_top1_pct=st.none() | NUMBERS,
    problem=st.none() | WORDS,
    resolution=st.none() | COUNTS,
    epochs=st.none() | COUNTS,
    work_share=st.none() | NUMBERS,
)
STARTS = st.builds(
    PretrainedStart,
    normalisation=st.just(EFFICIENTNET_LITE),
    trials=st.lists(st.builds(ResolutionTrial, COUNTS, NUMBERS, NUMBERS), max_size=2).map(tuple),
    teacher_val_top1_pct=st.none() | NUMBERS,
    top1_pct=st.none() | NUMBERS,
)
RESULTS = st.builds(
    SearchResult,
    architecture=ARCHITECTURES,
    flops_budget=COUNTS,
    slack_pct=NUMBERS,
    test_correct=COUNTS,
    test_images=COUNTS,
    checkpoint=FILE_NAMES,
    checkpoint_sha256=WORDS,
    weights_sha256=WORDS,
    seconds_by_phase=st.dictionaries(WORDS, NUMBERS, max_size=3),
    comparison=JSON_OBJECTS,
    stop_reason=st.sampled_from(["converged", "collapsed"]),
    exact=st.booleans(),
    notes=st.lists(WORDS, max_size=2).map(tuple),
    files=st.dictionaries(WORDS, st.builds(ResultFile, path=FILE_NAMES, sha256=WORDS, size_bytes=COUNTS), max_size=3),
    parity=st.dictionaries(st.sampled_from(NETWORK_FORMATS), PARITIES, max_size=3),
    certificate=st.none() | CERTIFICATES,
    latency_ms=st.dictionaries(WORDS, st.dictionaries(WORDS, NUMBERS, max_size=2), max_size=2),
    machine=JSON_OBJECTS,
    baselines=st.lists(BASELINES, max_size=2).map(tuple),
    classes=st.lists(CLASSES, max_size=2).map(tuple),
    test_right=st.none() | WORDS,
    not_sure=st.none() | st.builds(NotSure, below=NUMBERS, test_images=COUNTS, test_correct=COUNTS),
    init=st.none() | STARTS,
    calibration=st.none()
    | st.builds(
        ProbabilityCalibration, temperature=NUMBERS, test_images=COUNTS, error_before=NUMBERS, error_after=NUMBERS
    ),
)


@given(RESULTS)
def test_a_result_survives_the_way_through_stored_json(result: SearchResult) -> None:
    assert SearchResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_paths_come_back_as_bare_file_names() -> None:
    result = replace(
        SearchResult.from_json(FIRST_VERSION),
        checkpoint=Path("/attempt/model.safetensors"),
        files={"onnx": ResultFile(Path("/attempt/model.onnx"), "2" * 64, 12)},
    )
    stored = SearchResult.from_json(result.to_json())
    assert stored.checkpoint == Path("model.safetensors")
    assert stored.files["onnx"].path == Path("model.onnx")


# As the first version stored it, before formats, certificates, latencies and baselines.
FIRST_VERSION: dict[str, Any] = {
    "architecture": {
        "arch_id": "0123456789abcdef",
        "arch": {"blocks": []},
        "arch_string": "r1_k3",
        "macs": 399_000,
        "params": 21_000,
        "val_top1_pct": 97.0,
        "test_top1_pct": 98.0,
        "test_top5_pct": 100.0,
        "trained": True,
    },
    "flops_budget": 400_000,
    "slack_pct": 0.25,
    "test_correct": 352,
    "test_images": 359,
    "checkpoint": "model.safetensors",
    "checkpoint_sha256": "0" * 64,
    "weights_sha256": "1" * 64,
    "seconds_by_phase": {"searching": 1.5},
    "comparison": {"random_top1_pct": None},
    "stop_reason": "converged",
    "exact": True,
    "notes": ["the space is coarse here"],
}


def test_a_result_of_the_first_version_is_read_with_defaults_for_what_came_later() -> None:
    result = SearchResult.from_json(FIRST_VERSION)
    assert result.architecture.test_top1_pct == 98.0
    assert result.notes == ("the space is coarse here",)
    assert (result.files, result.parity, result.certificate, result.baselines) == ({}, {}, None, ())
    assert (result.latency_ms, result.machine, result.init) == ({}, {}, None)


def test_a_baseline_of_an_earlier_version_lacks_its_training() -> None:
    stored = {"name": "a", "arch_string": "in8", "macs": 9, "params": 3, "test_correct": 5, "test_top1_pct": 50.0}
    (read,) = SearchResult.from_json(FIRST_VERSION | {"baselines": [stored | {"problem": None}]}).baselines
    assert read == BaselineResult("a", "in8", 9, 3, 5, 50.0)
    assert (read.resolution, read.epochs, read.work_share) == (None, None, None)


def test_fields_that_no_longer_exist_are_ignored() -> None:
    architecture = {**FIRST_VERSION["architecture"], "colour": "blue"}
    stored = FIRST_VERSION | {"latency": {"onnx": 1.5}, "architecture": architecture}
    assert SearchResult.from_json(stored) == SearchResult.from_json(FIRST_VERSION)


def test_a_missing_field_without_a_default_is_an_error() -> None:
    stored = {name: value for name, value in FIRST_VERSION.items() if name != "test_correct"}
    with pytest.raises(TypeError, match="test_correct"):
        SearchResult.from_json(stored)
