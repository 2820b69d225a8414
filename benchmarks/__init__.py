"""Measurements, not tests. `python -m benchmarks` runs all but `equal_macs`, which needs a data set and a result."""
