"""`autonl`: runs the service on one machine, and is a client of its HTTP API. Never imports torch."""
