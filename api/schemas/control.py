"""What users may send along with a request to an existing search."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from autonl_core.spec.config_sections import Strict
from autonl_core.spec.labels import LabelChanges


class ResumeBody(Strict):
    """How a search goes on."""

    max_compute_s: float | None = Field(
        default=None,
        gt=0,
        description="CPU seconds that it may use from now on, over all attempts; null: as before",
    )


class SearchChangeBody(Strict):
    """The JSON body of `PATCH /searches/{id}`."""

    model_config = ConfigDict(json_schema_extra={"example": {"labels": {"team": "x", "project": None}}})

    labels: LabelChanges = Field(description="labels to set, and with null those to remove; others stay")
