"""The built-in weight sets, one file each; see `autonl_core/spec/builtin_weights.py`."""
