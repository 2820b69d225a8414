"""How far a search is, and where it stands in the queue."""

from __future__ import annotations

from api.schemas.base import View, mirrors
from autonl_core.spec.progress import Progress
from store.queue_places import QueuePlace


@mirrors(
    Progress,
    descriptions={
        "eta_s": "seconds to the end, between `eta_low_s` and `eta_high_s`; null: not known",
        "eta_low_s": "seconds to the end, at least",
        "eta_high_s": "seconds to the end, at most",
        "baseline": "the baseline that is trained, whose epochs these are; null: it is the search itself",
        "eta_unknown": "why that is not known; null: it is known, or the search has succeeded",
    },
)
class ProgressView(View):
    """How far a search is. `fraction` and `eta_s` are of the whole search, `epoch` and `step` of the current phase."""


@mirrors(
    QueuePlace,
    descriptions={
        "position": "1: it is the next to be started",
        "ahead": "queued searches that are started before it",
        "running": "searches that run now",
        "may_start_at": "the earliest time at which a worker is expected to be free for it; null: not known",
        "unknown": "why that is not known; null: it is",
    },
)
class QueueView(View):
    """The place of a queued search."""
