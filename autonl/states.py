"""The states of searches that clients act on."""

RESTING_STATES = frozenset({"succeeded", "failed", "cancelled", "paused"})  # nothing more happens without a request
