"""The sender of webhooks: `python -m worker.webhooks`."""
