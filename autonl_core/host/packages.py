"""The packages of the extra `worker`, which searches and checks compute with: the API and the client do without."""

from __future__ import annotations

import re
from importlib import metadata

EXTRA = "worker"
_REQUIREMENT = re.compile(rf"""([A-Za-z0-9._-]+)[^;]*;.*\bextra\s*==\s*["']{EXTRA}["']""")


def missing_packages() -> list[str]:
    """Names of the packages of the extra that are not installed, as pip knows them.

    None are known of where AutoNL itself is not installed, only on the path: then an import says what is missing.
    """
    try:
        required = metadata.requires("autonl") or ()
    except metadata.PackageNotFoundError:
        return []
    found = (_REQUIREMENT.match(line) for line in required)
    return [match[1] for match in found if match is not None and not _is_installed(match[1])]


def describe_missing(missing: list[str]) -> str:
    """What is missing, and how to install it."""
    return f"{', '.join(missing)}; install the extra `{EXTRA}`: pip install 'autonl[{EXTRA}]'"


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
