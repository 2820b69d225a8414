"""Measurements, not tests. `python -m benchmarks` runs all but `equal_macs`, which needs a dataset and a result."""
