"""The algorithms that a search can name, one file each: `autonl_paper.py` defines `autonl-paper`."""
