"""Shared state: tables, the compare-and-swap job store, artifacts, settings, the notifier. No torch, no FastAPI."""
