"""Opaque tokens of pages: where the page before ended, for the listing that it was issued for."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from store.errors import PageTokenError

MAX_PAGE_SIZE = 200


def make_token(listing: str, *last: str) -> str:
    """The token of the page after the row that the texts `last` identify."""
    return base64.urlsafe_b64encode(json.dumps([listing, *last]).encode()).decode().rstrip("=")


def read_token(token: str, listing: str, parts: int) -> Sequence[str]:
    """What identifies the last row of the page before: `parts` texts.

    Raises:
        PageTokenError: the token is malformed, or was issued for another listing.
    """
    try:
        issued_for, *last = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if len(last) != parts or not all(isinstance(part, str) for part in (issued_for, *last)):
            raise TypeError("not as it was made")
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError) as error:
        raise malformed() from error
    if issued_for != listing:
        raise PageTokenError(
            "page_token was issued for another filter; repeat that filter, or omit the token to start again"
        )
    return [str(part) for part in last]


def malformed() -> PageTokenError:
    return PageTokenError("page_token is malformed; use the next_page_token of the previous page unchanged")
