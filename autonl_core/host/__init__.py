"""The host that a search runs on: its CPUs, and the memory that a process gets from it and gives back."""
