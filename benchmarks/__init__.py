"""Measurements, not tests. `python -m benchmarks` measures the search step; the others need a data set or a result."""
