"""The files that weights of a known architecture are read from, one format a file; see `autonl_core/nn/weights.py`."""
