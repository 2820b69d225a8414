"""Which form of a network is called the fastest: only one that is delivered, and none while timings are noisy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autonl_core.report.latencies import Timings, headline, latency
from autonl_core.spec.result import FormatParity
from tests.autonl_core.report.example_facts import facts

DELIVERED = FormatParity(57, 95.0, 0.0, 0, 1000, "a" * 64)
PARITY = {"onnx": DELIVERED, "onnx-int8": replace(DELIVERED, withheld="it loses 28.3 points")}
MEDIAN_MS = {"eager": {"1": 3.77}, "onnx": {"1": 1.38}, "onnx-int8": {"1": 0.693}, "pt2": {"1": 0.5}}


def timings(**spread_pct: float) -> Timings:
    """Those of `MEDIAN_MS`; spreads are 5% where nothing else is given, and `int8` is that of eight bits."""
    spread_pct = {name.replace("int8", "onnx-int8"): value for name, value in spread_pct.items()}
    return Timings(MEDIAN_MS, {form: {"1": spread_pct.get(form, 5.0)} for form in MEDIAN_MS}, PARITY)


def test_what_is_withheld_or_no_file_is_never_the_fastest() -> None:
    best = timings().fastest(1)
    assert best is not None
    assert (best.form, best.median_ms) == ("onnx", 1.38)
    assert timings().title("onnx-int8") == "ONNX Runtime, 8 bits (withheld)"
    assert timings().title("pt2").endswith("(not among the files)")
    assert timings().title("eager") == "PyTorch, as trained"


@pytest.mark.parametrize(
    ("spread_pct", "decided"), [({}, True), ({"onnx": 26}, False), ({"eager": 26}, False), ({"int8": 476}, True)]
)
def test_noisy_timings_decide_nothing_unless_they_are_of_what_is_withheld(
    spread_pct: dict[str, float], decided: bool
) -> None:
    assert timings(**spread_pct).is_decided(1) == decided


def test_the_headline_is_the_fastest_delivered_form_and_says_if_it_is_noisy() -> None:
    spreads = {"eager": {"1": 5.0}, "onnx": {"1": 25.2}}
    made = facts(latency_ms=MEDIAN_MS, latency_spread_pct=spreads, parity=PARITY)
    assert headline(made) == ("latency of one image", "1.38 ms", "ONNX Runtime, float32, spread 26%, noisy")
    calm = replace(made, latency_spread_pct=None)
    assert headline(calm)[1:] == ("1.38 ms", "ONNX Runtime, float32")
    assert headline(replace(made, latency_ms=None))[2] == "PyTorch, sum over layers"
    table = latency(made)
    assert table is not None
    assert table.rows[2] == ("ONNX Runtime, 8 bits (withheld)", "0.693")
