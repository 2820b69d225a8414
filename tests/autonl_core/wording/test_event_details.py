"""How the details of events read."""

from __future__ import annotations

from typing import Any

import pytest

from autonl_core.wording.event_details import detail_text

DETAILS: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"step": 3, "size_bytes": 1_250_000}, "step 3, size 1,250,000 bytes"),
    ({"val_top1_pct": 71.2345, "val_loss": 0.81, "macs": 4_462_592}, "val top1 71.23%, val loss 0.81, macs 4,462,592"),
    ({"best_arch_id": None, "saved_step": 0}, "best arch id none, saved step 0"),
    ({"reason": "the worker was stopped", "wait_s": 2.0}, "reason the worker was stopped, wait 2 s"),
    (
        {"round": 1, "finalists": [{"origin": "widest", "val_top1_pct": 50.0}, {"origin": "drawn", "top1_pct": None}]},
        "round 1, finalists (origin widest, val top1 50%), (origin drawn, top1 pct none)",
    ),
    ({"problems": [], "exact": False}, "problems none, exact no"),
    ({"ahead_of": {"uniform": {"mean": -0.00012}}}, "ahead of (uniform (mean -0.00012))"),
]  # fmt: skip


@pytest.mark.parametrize(("detail", "text"), DETAILS)
def test_details_read_as_text(detail: dict[str, Any], text: str) -> None:
    assert detail_text(detail) == text
