"""One bundle for all tests of this folder."""

from tests.autonl_core.bundle.small_bundle import made

__all__ = ["made"]
