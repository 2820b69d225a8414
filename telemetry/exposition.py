"""Serves the metrics of a process that has no web server of its own."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry, start_http_server


def serve_metrics(registry: CollectorRegistry, host: str, port: int, setting: str) -> None:
    """Serve on an address from a thread; port 0: not at all. Exits with a message if that is not possible.

    Args:
        setting: the name of the setting that the port is from.
    """
    if not port:
        return
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        sys.exit(f"metrics cannot be served on {host} port {port}: {error.strerror or error}; choose another {setting}")
