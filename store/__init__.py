"""Shared state: the tables, the compare-and-swap job store, artifacts, settings, the notifier. No torch, no FastAPI."""
