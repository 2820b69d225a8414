"""Corrections of datasets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from autonl_core.datasets.corrections import Correction
from autonl_core.spec.name_field import Name

_MAX_IMAGES = 100_000
_Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class CorrectionBody(BaseModel):
    """The JSON body of `POST /datasets/{name}/corrections`. Images are named as in a list of doubtful labels."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name = Field(description="of the corrected dataset")
    leave_out: list[_Text] = Field(default=[], max_length=_MAX_IMAGES, description="images that are not used")
    relabel: dict[_Text, _Text] = Field(
        default={}, max_length=_MAX_IMAGES, description="the class that an image is of, by the name of the image"
    )

    def correction(self) -> Correction:
        return Correction(frozenset(self.leave_out), self.relabel)
