"""Loops over feature maps that no operator of PyTorch does in one pass, compiled by Numba for this processor."""
