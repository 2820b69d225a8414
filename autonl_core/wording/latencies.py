"""A limit of latency in words: what was predicted, allowed and measured."""

from __future__ import annotations


def latency_text(predicted_ms: float, at_most_ms: float, measured_ms: float | None, not_measured: str | None) -> str:
    """As in "0.301 ms predicted of 0.4 ms allowed, 0.312 ms measured".

    Args:
        not_measured: why there is no `measured_ms`.
    """
    measured = f"not measured: {not_measured}" if measured_ms is None else f"{measured_ms:.3f} ms measured"
    return f"{predicted_ms:.3f} ms predicted of {at_most_ms:g} ms allowed, {measured}"
