"""Waiting for a database that does not answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from store.db import UNAVAILABLE, is_full
from store.errors import LeaseLapsed

RETRY_S = 1.0

T = TypeVar("T")
log = logging.getLogger(__name__)


def retry_while_unavailable(call: Callable[[], T]) -> T:
    """Repeat `call` until the database answers, and return its result. All other errors are raised.

    A lease that lapsed because the supervisor was late is waited for in the same way: it takes the search back, or
    another attempt does and the next try says so.

    For search and check processes, which need no time limit here: their parent kills them when the lease runs out.
    """
    while True:
        try:
            return call()
        except LeaseLapsed as error:
            log.warning("the supervisor is late, retrying in %g s: %s", RETRY_S, error)
            time.sleep(RETRY_S)
        except UNAVAILABLE as error:
            what = "the disk of the database is full" if is_full(error) else "database unavailable"
            log.warning("%s, retrying in %g s: %s", what, RETRY_S, error)
            time.sleep(RETRY_S)
