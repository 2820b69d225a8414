"""Real servers for the tests of the whole service."""

from __future__ import annotations

from tests.servers import broker

__all__ = ["broker"]
