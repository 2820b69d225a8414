"""How far probabilities are from how often a network is right."""

from __future__ import annotations


def off_by(error_after: float, error_before: float, temperature: float) -> str:
    """Expected calibration errors, 0 to 1, with and without a temperature; 1: there is none."""
    if temperature == 1:
        return f"off by {_points(error_after)} in the mean; no temperature made that better beyond chance"
    return (
        f"off by {_points(error_after)} in the mean, {_points(error_before)} before the classifier was divided by a "
        f"temperature of {temperature:.2f}"
    )


def _points(error: float) -> str:
    return f"{100 * error:.1f} points"
