"""What searches compute on: the CPU, or the GPUs and MIG slices of this host, one search on each at a time."""
