"""Data sets, search spaces, published networks, and whether the service is well."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.base import CountingRule, MacsRange, View
from autonl_core import macs
from autonl_core.config import Name
from autonl_core.datasets import DatasetSpec
from autonl_core.plan import MAX_RESOLUTION, MIN_RESOLUTION
from autonl_core.search_space import SpaceFamily, get_space
from store.datasets import DatasetEntry


class DatasetBody(BaseModel):
    """What `POST /datasets` takes."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="absolute path, on the service's own disk, of a folder or zip of class folders"
    )


class DatasetView(View):
    name: str
    kind: Literal["builtin", "folder", "zip"]
    classes: list[str]
    image_size: int = Field(description="the usual longer side in pixels")
    default_resolution: int = Field(description="of a search that names none")
    train_images: int
    test_images: int
    fingerprint: str
    report: dict[str, Any] | None
    created_at: datetime | None

    @classmethod
    def of(cls, entry: DatasetEntry) -> Self:
        spec: DatasetSpec = entry.spec
        own: Mapping[str, Any] = spec.to_json()
        extra = {
            "default_resolution": min(max(spec.image_size, MIN_RESOLUTION), MAX_RESOLUTION),
            "report": entry.report,
            "created_at": entry.created_at,
        }
        return cls.model_validate({name: own[name] for name in cls.model_fields if name in own} | extra)


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
