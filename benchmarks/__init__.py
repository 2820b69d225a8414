"""Measurements, not tests: `python -m benchmarks` runs them all; each prints machine, method, medians and ratios."""
