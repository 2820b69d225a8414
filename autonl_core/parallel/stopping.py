"""How ranks stop together, whichever of them was asked to."""

from __future__ import annotations

from autonl_core.parallel.ranks import Ranks
from autonl_core.spec.progress import StopRequest, StopToken

_BY_WEIGHT: tuple[StopRequest | None, ...] = (None, "drain", "spent", "pause", "cancel")  # the last one wins


def agreed_stop(stop: StopToken, ranks: Ranks) -> StopRequest | None:
    """What `stop` says, on whichever rank: of several requests the one that leaves least to be done."""
    request = stop.stop_requested()
    return request if ranks.alone else _BY_WEIGHT[ranks.largest(_BY_WEIGHT.index(request))]
