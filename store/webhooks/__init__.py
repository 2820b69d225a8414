"""Webhooks: who is called, when what happens. Fed from the event log, sent by `worker/webhooks/`."""
