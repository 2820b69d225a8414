"""Shared state: tables, the compare-and-swap job store, artifacts, settings, the doorbell. No torch, no FastAPI."""
