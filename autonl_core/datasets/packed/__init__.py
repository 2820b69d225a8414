"""Datasets whose images are packed into few large files, which are read in place: tar shards, Parquet."""
