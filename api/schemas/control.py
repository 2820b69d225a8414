"""What users may send along with a request to an existing search."""

from __future__ import annotations

from pydantic import Field

from autonl_core.spec.config_sections import Strict


class ResumeBody(Strict):
    """How a search goes on."""

    max_compute_s: float | None = Field(
        default=None,
        gt=0,
        description="CPU seconds that it may use from now on, over all attempts; null: as before",
    )
