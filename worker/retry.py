"""Waiting for a database or a bucket that does not answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from store.db import UNAVAILABLE, is_full
from store.errors import BucketUnavailable, LeaseLapsed

RETRY_S = 1.0
BUCKET_RETRY_MAX_S = 8.0  # its waits double up to this: it charges for requests, or serves many

T = TypeVar("T")
log = logging.getLogger(__name__)


def retry_while_unavailable(call: Callable[[], T]) -> T:
    """Repeat `call` until database and bucket answer, and return its result. All other errors are raised.

    A lease that lapsed because the supervisor was late is waited for in the same way: it takes the search back, or
    another attempt does and the next try says so.

    For search and check processes, which need no time limit here: their parent kills them when the lease runs out.
    """
    wait_s = RETRY_S
    while True:
        try:
            return call()
        except LeaseLapsed as error:
            log.warning("the supervisor is late, retrying in %g s: %s", RETRY_S, error)
            time.sleep(RETRY_S)
        except BucketUnavailable as error:
            log.warning("retrying in %g s: %s", wait_s, error)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, BUCKET_RETRY_MAX_S)
        except UNAVAILABLE as error:
            what = "the disk of the database is full" if is_full(error) else "database unavailable"
            log.warning("%s, retrying in %g s: %s", what, RETRY_S, error)
            time.sleep(RETRY_S)
