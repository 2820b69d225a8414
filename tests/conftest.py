"""What every test shares."""

from __future__ import annotations

import hypothesis

# The same examples in every run, so that a red test is red for everyone; no deadline, because machines stall.
hypothesis.settings.register_profile("autonl", deadline=None, derandomize=True)
hypothesis.settings.load_profile("autonl")
