"""Where a service is found by default; not in `settings`, so that a client need not import what checks them all."""

DEFAULT_SERVICE_URL = "http://127.0.0.1:8000"
