"""Datasets in buckets: where they are, what is in them, and their copies on the disk of a host."""
