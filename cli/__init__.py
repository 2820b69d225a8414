"""`autonl`: the service for one machine, and a client of its HTTP API. Loads no torch."""
