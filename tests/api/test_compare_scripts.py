"""What the page says of searches side by side, run by the engine of a browser and compared with the command line."""

from __future__ import annotations

from typing import Any

import pytest

from cli.render_comparison import difference_text
from tests.api.test_page_scripts import evaluate

DIFFERENCE = {
    "search_id": "aa",
    "other_id": "bb",
    "points": 10.0,
    "error_points": 3.6237,
    "paired": True,
    "chance": 0.01294,
    "may_be_chance": False,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "A is 10.00 points ahead of B (standard error 3.62, p = 0.013): more than chance."),
        (
            {"points": -10.0, "chance": 1e-9},
            "B is 10.00 points ahead of A (standard error 3.62, p < 0.001): more than chance.",
        ),
        (
            {"points": 0.0, "chance": 1.0, "may_be_chance": True},
            "A and B are equal (standard error 3.62, p = 1): this may be chance.",
        ),
    ],
)
def test_the_page_says_what_the_command_line_says(changes: dict[str, Any], said: str) -> None:
    difference = DIFFERENCE | changes
    assert evaluate("words.ahead(input, ['aa', 'bb'])", difference, compare_words="words") == said
    assert difference_text(difference, {"aa": "A", "bb": "B"}) == said.replace("this may", "may").removesuffix(".")


def test_blocks_and_settings_are_written_short() -> None:
    notations = ["ir_r1_k5_s2_e3_c24_nl0.25-2", "ds_r1_k3_s1_c16", "cn_k3_s1_c16", "cn_k1_s1_c128 | fc10"]
    shown = evaluate("input.map(words.short)", notations, compare_words="words")
    assert shown == ["k5 s2 e3 c24 nl0.25-2", "k3 s1 c16", "k3 s1 c16", "k1 s1 c128 fc10"]
    values = ["digits", 3, None, ["mobilenet_v2"], False]
    written = ["digits", "3", "–", '["mobilenet_v2"]', "false"]
    assert evaluate("input.map(words.setting)", values, compare_words="words") == written


def test_classes_that_differ_most_come_first_and_equal_ones_not_at_all() -> None:
    def of(name: str, *correct: int | None) -> dict[str, Any]:
        return {"name": name, "results": [None if each is None else {"correct": each} for each in correct]}

    classes = [of("same", 5, None, 5), of("near", 5, None, 4), of("far", 1, None, 5)]
    assert evaluate("words.byDifference(input).map(({ name }) => name)", classes, compare_words="words") == [
        "far",
        "near",
    ]


def test_what_is_not_known_of_a_search_is_a_dash() -> None:
    waiting: dict[str, Any] = {
        "state": "queued", "dataset": "digits", "labels": {}, "test_top1_pct": None, "test_top1_low_pct": None,
        "test_images": None, "flops_budget": 400_000, "macs": None, "params": None, "resolution": None,
        "peak_activation_bytes": None, "file_bytes": {}, "latency_ms": {}, "search_s": None, "compute_s": 0.0,
    }  # fmt: skip
    finished = waiting | {
        "test_top1_pct": 97.214, "test_top1_low_pct": 94.94, "test_top1_high_pct": 98.48, "macs": 393_216,
        "file_bytes": {"onnx": 1_200_000}, "latency_ms": {"onnx": {"1": 0.3149}}, "search_s": 83.2,
    }  # fmt: skip
    given = {"searches": [waiting, finished], "latencies_comparable": False}
    rows = dict(evaluate("words.figures(input)", given, compare_words="words"))
    assert "Labels" not in rows
    assert rows["Test top-1"] == ["–", "97.21%"]
    assert rows["95% interval"] == ["–", "94.9 to 98.5%"]
    assert (rows["Budget, MACs"], rows["MACs"]) == (["400k", "400k"], ["–", "393.2k"])
    assert (rows["File: onnx"], rows["Search time"]) == (["–", "1.2 MB"], ["–", "1 min 23 s"])
    assert rows["Latency: onnx, 1 image"] == ["–", "0.31 ms"]  # there is no second one to compare it with
    elsewhere = {"searches": [finished, finished], "latencies_comparable": False}
    assert "Latency: onnx, 1 image, on different machines" in dict(
        evaluate("words.figures(input)", elsewhere, compare_words="words")
    )


def test_curves_are_by_phase_and_metric_and_training_comes_first() -> None:
    def point(phase: str, epoch: int, **values: float | None) -> dict[str, Any]:
        return {"phase": phase, "epoch": epoch, "values": values}

    first = [point("searching", epoch, val_top1_pct=60.0 + epoch, expected_macs=1.0) for epoch in (1, 2)]
    first += [point("training", epoch, train_loss=1 / epoch, train_top1_pct=50.0, **{"a/b": 1.0}) for epoch in (1, 2)]
    second = [point("searching", 1, val_top1_pct=None), point("searching", 2, val_top1_pct=70.0)]
    curves = evaluate("curves.curvesOf(input)", [first, second], compare_curves="curves")
    assert [(one["phase"], one["name"]) for one in curves] == [
        ("training", "train_top1_pct"),
        ("training", "train_loss"),
        ("searching", "val_top1_pct"),
    ]
    assert curves[2]["curves"] == [[{"x": 1, "y": 61.0}, {"x": 2, "y": 62.0}], [{"x": 2, "y": 70.0}]]
    assert evaluate("curves.curvesOf(input)", [[], second], compare_curves="curves") == []  # of one point, no curve


def test_letters_at_the_ends_of_curves_do_not_overlap() -> None:
    names = [
        {"place": place, "x": x, "y": y} for place, (x, y) in enumerate([(9, 50), (9, 52), (90, 51), (9, 98), (9, 99)])
    ]
    placed = {name["place"]: name["y"] for name in evaluate("curves.apart(input, 100)", names, compare_curves="curves")}
    assert placed == {0: 50, 1: 62, 2: 51, 3: 88, 4: 100}


def test_the_list_says_how_many_are_to_be_ticked() -> None:
    said = evaluate("[0, 1, 2, 5].map(choice.hint)", compare_choice="choice")
    assert said == [
        "Tick two to five searches to see them side by side.",
        "1 chosen: tick at least one more.",
        "2 chosen.",
        "5 chosen, which is the most.",
    ]
