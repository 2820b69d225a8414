"""Where the files of a dataset are on this host: at their own path, or in the local copy of a place in a bucket.

All that opens the files of a dataset asks here, and stores the location, never the path of a copy.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autonl_core.datasets.buckets.local_copy import UNTOUCHED_S, LocalCopy, bring_here, delete_unused
from autonl_core.datasets.buckets.location import BucketLocation, is_in_bucket
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DatasetError, DatasetUnavailable
from store.settings import Settings
from store.stores import Stores
from store.tenant_rows import DEFAULT_TENANT
from worker.retry import BUCKET_RETRY_MAX_S, RETRY_S

OnProgress = Callable[[float], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetPlace:
    """Where the files of a dataset are; `copy` is that of a dataset in a bucket, `location` as it is stored."""

    location: str
    path: str
    copy: LocalCopy | None = None

    @property
    def objects(self) -> str:
        """As `DatasetSpec.objects`."""
        return "" if self.copy is None else self.copy.mark

    def in_user_words(self, message: str) -> str:
        """`message` as if the files were read where the user put them."""
        return message if self.copy is None else self.copy.in_user_words(message)

    def json_in_user_words(self, data: dict[str, Any]) -> dict[str, Any]:
        """The same for all texts in `data`."""
        if self.copy is None:
            return data
        text = json.dumps(data).replace(_inside_json(self.path), _inside_json(self.location))
        found: dict[str, Any] = json.loads(text)
        return found


def place_on_this_host(
    dataset: DatasetSpec,
    settings: Settings,
    on_progress: OnProgress,
    *,
    on_wait: Callable[[], None] = lambda: None,
    patience_s: float = math.inf,
) -> DatasetPlace:
    """Where the files of `dataset` are; those in a bucket are fetched, unless they are here.

    Args:
        on_progress: called with the share that is fetched; may raise, to end it early.
        on_wait: called before each wait for a bucket that does not respond; may raise as well.
        patience_s: how long such a bucket is asked again.
    Raises:
        DatasetError: the dataset is not there, changed since it was checked, or is where this host may not read.
        DatasetUnavailable: its bucket does not respond for that long.
        OSError: there is no room for it on the disk.
    """
    if not is_in_bucket(dataset.location):
        return DatasetPlace(dataset.location, dataset.location)
    location = BucketLocation.parse(dataset.location)
    if not settings.allows_bucket(location):
        raise DatasetError(
            f"{location} is outside the places that this host may read: have it added to AUTONL_DATASET_BUCKETS"
        )
    until, wait_s = time.monotonic() + patience_s, RETRY_S
    while True:
        try:
            copy = _copy(location, dataset.objects, settings, on_progress)
        except DatasetUnavailable as error:
            on_wait()
            if time.monotonic() + wait_s > until:
                raise
            log.warning("retrying in %g s: %s", wait_s, error)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, BUCKET_RETRY_MAX_S)
        else:
            return DatasetPlace(dataset.location, str(copy.path), copy)


def _copy(location: BucketLocation, expected_mark: str, settings: Settings, on_progress: OnProgress) -> LocalCopy:
    return bring_here(
        location,
        settings.bucket_copies_dir,
        limits=settings.limits,
        expected_mark=expected_mark,
        reserve_bytes=settings.disk_reserve_bytes,
        request_s=settings.bucket_timeout_s,
        on_progress=on_progress,
    )


def delete_unused_copies(stores: Stores) -> None:
    """Delete the copies on this host of datasets that are registered no more."""
    of_operator = stores.of_tenant(DEFAULT_TENANT)  # no other tenant can register a place in a bucket
    locations = lambda: [entry.spec.location for entry in of_operator.datasets.list()]  # noqa: E731
    if count := delete_unused(stores.settings.bucket_copies_dir, locations, UNTOUCHED_S):
        log.info("%d copies of datasets in buckets are no longer used and were deleted", count)


def _inside_json(text: str) -> str:
    return json.dumps(text)[1:-1]
