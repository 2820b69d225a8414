"""The lease of a search, as its supervisor keeps it: beats, requests of the user, and the compute that it may use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from math import inf

from autonl_core.spec.progress import StopRequest
from store.claims import LeaseRow, LeaseStatus
from store.leases import Lease
from store.stores import Stores
from worker.leased_process import LOST, LeaseView

log = logging.getLogger(__name__)


class SearchLeaseKeeper:
    """The lease of one attempt. Its row carries the user's requests; a drain of the worker ranks below them.

    Args:
        on_export: called at every look once the attempt exports.
    """

    def __init__(
        self,
        stores: Stores,
        lease: Lease,
        compute_s: Callable[[], float],
        draining: Callable[[], bool],
        on_export: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = f"search {lease.search_id}"
        self._claims = stores.claims
        self._usage = stores.usage
        self._lease = lease
        self._compute_s = compute_s
        self._draining = draining
        self._on_export = on_export
        self._read_limit, self._limit_s = False, inf

    def look(self) -> LeaseView:
        row = self._row()
        return self._view(row.status, row.progress_at)

    def beat(self) -> LeaseView:
        progress_at = self._row().progress_at
        self._read_limit = False  # a user may have raised it
        return self._view(self._claims.beat(self._lease, self._compute_s()), progress_at)

    def _row(self) -> LeaseRow:
        row = self._claims.status(self._lease)
        if row.exporting:
            self._on_export()
        return row

    def _view(self, status: LeaseStatus, progress_at: datetime | None) -> LeaseView:
        if status == LeaseStatus.LOST:
            if not self._claims.regain(self._lease):
                return LOST
            log.warning("%s: beats were late, but no one had claimed it; it goes on", self.name)
        request = _REQUESTS.get(status) or ("spent" if self._is_spent() else None)
        return LeaseView(
            held=True, progress=progress_at, stop_request=request or ("drain" if self._draining() else None)
        )

    def _is_spent(self) -> bool:
        """Whether the search has used the compute that it may use, over all attempts."""
        if not self._read_limit:
            left_s = self._usage.compute_left_s(self._lease)
            self._read_limit, self._limit_s = True, inf if left_s is None else left_s
        return self._compute_s() >= self._limit_s


_REQUESTS: Mapping[LeaseStatus, StopRequest] = {
    LeaseStatus.CANCEL_WANTED: "cancel",
    LeaseStatus.PAUSE_WANTED: "pause",
}
