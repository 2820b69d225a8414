"""The search spaces, one file each: `mobile_32.py` defines `mobile-32`."""
