"""Data sets, search spaces, published networks, and whether the service is well."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.base import CountingRule, MacsRange, View
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.spec import macs
from autonl_core.spec.config import Name
from autonl_core.spec.feasibility import MAX_RESOLUTION, MIN_RESOLUTION
from autonl_core.spec.space_families import SpaceFamily, get_space
from store.datasets import DatasetEntry
from store.states import DatasetState


class DatasetBody(BaseModel):
    """What `POST /datasets` takes as JSON; an archive is the body itself."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="absolute path, on the service's own disk, of a folder or zip of class folders"
    )


class DatasetProblemView(View):
    """Something found by the check. Errors keep a data set from being used, nothing else does."""

    severity: Literal["error", "warning", "info"]
    code: str = Field(description="stable word for programs")
    detail: str = Field(description="what it means, and what to do")
    files: list[str] = Field(description="the first of them")
    count: int = Field(description="of all files it is about; 0: it is about the whole")


class ClassCounts(View):
    name: str
    train: int
    test: int


class DatasetReportView(View):
    """All that the check found, worst problems first. Counts are of images that are used."""

    problems: list[DatasetProblemView]
    files: int = Field(description="of whatever kind")
    images: int
    classes: list[ClassCounts]
    sizes: dict[str, dict[str, float]] = Field(description="`width` and `height` in pixels: `min`, `median`, `max`")
    formats: dict[str, int]
    duplicates: dict[str, int] = Field(description="`groups`, `exact` and `near` copies, `left_out` of training")
    sheets: int = Field(description="classes with a contact sheet: /datasets/NAME/sheets/0, 1, ...")
    seconds: float


class DatasetView(View):
    """A data set; what its check has yet to find out is null."""

    name: str
    state: DatasetState = Field(
        description="only a `ready` one can be searched on; the report of an `invalid` one says why"
    )
    kind: Literal["builtin", "folder", "zip"]
    classes: list[str] | None
    image_size: int | None = Field(description="the usual longer side in pixels")
    default_resolution: int | None = Field(description="of a search that names none")
    train_images: int | None
    test_images: int | None
    fingerprint: str | None
    sha256: str | None = Field(description="of an uploaded archive")
    size_bytes: int | None = Field(description="of an uploaded archive")
    progress: float | None = Field(description="of the check, 0 to 1, while there is one")
    report: DatasetReportView | None = Field(description="null in lists, and before the check is over")
    created_at: datetime | None

    @classmethod
    def of(cls, entry: DatasetEntry, *, with_report: bool = True) -> Self:
        spec: DatasetSpec = entry.spec
        found: dict[str, Any] = {}
        if entry.state == DatasetState.READY:
            found = {
                "classes": list(spec.classes),
                "image_size": spec.image_size,
                "default_resolution": min(max(spec.image_size, MIN_RESOLUTION), MAX_RESOLUTION),
                "train_images": spec.train_images,
                "test_images": spec.test_images,
                "fingerprint": spec.fingerprint,
            }
        told = {
            "name": spec.name,
            "state": entry.state,
            "kind": spec.kind,
            "sha256": entry.sha256,
            "size_bytes": entry.size_bytes,
            "progress": entry.progress,
            "report": entry.report.to_json() if with_report and entry.report is not None else None,
            "created_at": entry.created_at,
        }
        return cls.model_validate(dict.fromkeys(cls.model_fields) | told | found)


class DatasetList(View):
    datasets: list[DatasetView]


class SpaceView(View):
    name: str
    summary: str
    min_resolution: int
    max_resolution: int
    macs_range: MacsRange | None = Field(description="at the asked resolution; null where the space does not serve it")

    @classmethod
    def of(cls, family: SpaceFamily, resolution: int | None, num_classes: int) -> Self:
        served = resolution is not None and resolution in family.resolutions
        return cls(
            name=family.name,
            summary=family.summary,
            min_resolution=family.resolutions[0],
            max_resolution=family.resolutions[-1],
            macs_range=MacsRange.of(get_space(family.name, resolution, num_classes)) if served and resolution else None,
        )


class SpaceList(View):
    search_spaces: list[SpaceView]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE


class BaselineView(View):
    """A published network: the figures of its paper at 224 pixels and 1,000 classes, and ours at what was asked for."""

    name: str
    title: str
    published_macs: int
    published_params: int
    published_top1_pct: float = Field(description="ImageNet")
    source: str
    arch_string: str | None = Field(description="null where no width multiplier comes within 3% of the asked budget")
    macs: int | None
    params: int | None


class BaselineList(View):
    baselines: list[BaselineView]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE


class Health(View):
    status: Literal["ok"] = "ok"


class Readiness(View):
    """Everything the service needs, each `ok`."""

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
