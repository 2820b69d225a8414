"""Datasets and the reports of their checks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.base import View, mirrors
from autonl_core.datasets.check_report import DatasetProblem, DatasetReport
from autonl_core.datasets.spec import dataset_kinds
from autonl_core.spec.config import Name
from autonl_core.spec.feasibility import MAX_RESOLUTION, MIN_RESOLUTION
from store.datasets import DatasetEntry
from store.states import DatasetState


class DatasetBody(BaseModel):
    """The JSON body of `POST /datasets`; an archive is sent as the body itself."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="absolute path of a folder or zip of class folders on the service's own disk"
    )


@mirrors(
    DatasetProblem,
    descriptions={
        "code": "stable identifier for programs",
        "detail": "what it means and how to fix it",
        "files": "the first affected files",
        "count": "number of affected files; 0: it concerns the dataset as a whole",
    },
)
class DatasetProblemView(View):
    """A finding of the dataset check. Only errors make a dataset unusable."""


class ClassCounts(View):
    name: str
    train: int
    test: int


@mirrors(
    DatasetReport,
    types={
        "problems": list[DatasetProblemView],
        "classes": list[ClassCounts],
        "sizes": dict[str, dict[str, float]],
    },
    descriptions={
        "files": "of any type",
        "sizes": "`min`, `median` and `max` of `width` and `height` in pixels",
        "duplicates": "`groups`, `exact` and `near` copies, and how many were `left_out` of training",
        "sheets": "number of classes with a contact sheet: /datasets/NAME/sheets/0, 1, ...",
    },
)
class DatasetReportView(View):
    """The findings of the dataset check, most severe first. Counts are of images that are used."""


class DatasetView(View):
    """A dataset. Values that its check has not determined yet are null."""

    name: str
    state: DatasetState = Field(
        description="only a `ready` dataset can be searched on; the report of an `invalid` one says why"
    )
    kind: str = Field(json_schema_extra={"enum": list(dataset_kinds())})
    classes: list[str] | None
    image_size: int | None = Field(description="median of the longer side in pixels")
    default_resolution: int | None = Field(description="of a search that does not specify one")
    train_images: int | None
    test_images: int | None
    fingerprint: str | None
    sha256: str | None = Field(description="of an uploaded archive")
    size_bytes: int | None = Field(description="of an uploaded archive")
    progress: float | None = Field(description="of a running check, 0 to 1")
    report: DatasetReportView | None = Field(description="null in lists, and until the check has finished")
    created_at: datetime | None

    @classmethod
    def from_entry(cls, entry: DatasetEntry, *, with_report: bool = True) -> Self:
        spec = entry.spec
        values: dict[str, Any] = {
            "name": spec.name,
            "state": entry.state,
            "kind": spec.kind,
            "sha256": entry.sha256,
            "size_bytes": entry.size_bytes,
            "progress": entry.progress,
            "report": entry.report if with_report else None,
            "created_at": entry.created_at,
        }
        if entry.state == DatasetState.READY:
            values |= {
                "classes": list(spec.classes),
                "image_size": spec.image_size,
                "default_resolution": min(max(spec.image_size, MIN_RESOLUTION), MAX_RESOLUTION),
                "train_images": spec.train_images,
                "test_images": spec.test_images,
                "fingerprint": spec.fingerprint,
            }
        return cls.model_validate(dict.fromkeys(cls.model_fields) | values)


class DatasetList(View):
    datasets: list[DatasetView]
