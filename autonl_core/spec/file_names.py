"""Names of the files that a user takes away: they say what the network was made for."""

from __future__ import annotations


def network_name(dataset: str, arch_id: str) -> str:
    """Of the files of a network, before their endings, and of the folder in its bundle."""
    return f"autonl-{dataset}-{arch_id}"


def report_name(dataset: str, search_id: str, ending: str) -> str:
    """Of a report; `ending` without a dot."""
    return f"autonl-{dataset}-{search_id}-report.{ending}"
