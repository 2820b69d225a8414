"""How far a search is, as its row says and as users see it."""

from __future__ import annotations

from dataclasses import replace

from autonl_core.spec.known_fields import known_fields
from autonl_core.spec.progress import Progress
from store.models import Search
from store.states import CLAIMED, SearchState


def search_progress(search: Search) -> Progress | None:
    """How far a search is, all of it if it succeeded; until it runs again, how long it takes is not known.

    Earlier versions stored no range, and later ones may store more.
    """
    if search.progress is None:
        return None
    progress = Progress(**known_fields(Progress, search.progress))
    if search.state in CLAIMED:
        return progress
    progress = replace(progress, eta_s=None, eta_low_s=None, eta_high_s=None)
    if search.state == SearchState.SUCCEEDED:  # after its last report
        return replace(progress, fraction=1.0, eta_unknown=None)
    return replace(progress, eta_unknown=f"it is {search.state}")
