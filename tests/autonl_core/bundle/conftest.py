"""One bundle for all tests of this folder."""

from tests.autonl_core.bundle.bundles import made

__all__ = ["made"]
