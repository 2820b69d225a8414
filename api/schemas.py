"""What the API answers, and how it is made from rows. Times are RFC 3339 UTC, accuracies percent, MACs and bytes named.

The body of `POST /searches` is `autonl_core.config.SearchConfig` itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from autonl_core import macs
from autonl_core.arch import ArchSpec
from autonl_core.config import Name
from autonl_core.datasets import DatasetSpec
from autonl_core.plan import MAX_RESOLUTION, MIN_RESOLUTION
from autonl_core.progress import Phase
from autonl_core.search_space import SearchSpace, SpaceFamily, get_space
from store import models
from store.datasets import DatasetEntry
from store.searches import SearchPage
from store.states import ExitClass, SearchState, StopReason

CountingRule = Annotated[str, Field(description="what is counted as MACs, everywhere in this answer")]


class View(BaseModel):
    """Base of all answers; made from rows and dataclasses by attribute."""

    model_config = ConfigDict(from_attributes=True)


class MacsRange(View):
    """MACs of the smallest and the largest network."""

    min_macs: int
    max_macs: int

    @classmethod
    def of(cls, space: SearchSpace) -> Self:
        low, high = space.macs_range()
        return cls(min_macs=low, max_macs=high)


# Searches ------------------------------------------------------------------------------------------------------------


class ProgressView(View):
    """Where a search is. `fraction` and `eta_s` are of the whole search, `epoch` and `step` of the phase."""

    phase: Phase
    fraction: float
    epoch: int
    epochs: int
    step: int
    steps: int
    eta_s: float | None


class AttemptView(View):
    """One try of a search: its number, which worker made it, how it ended."""

    attempt: int = Field(validation_alias="fence")
    owner: str
    started_at: datetime
    ended_at: datetime | None
    exit_class: ExitClass | None
    detail: str | None


class ErrorView(View):
    """Why a search failed."""

    type: str
    detail: str


class ArchitectureSummary(View):
    """An architecture in numbers. Accuracies that were not measured are null."""

    arch_id: str
    arch_string: str
    macs: int
    params: int
    val_top1_pct: float | None
    test_top1_pct: float | None
    test_top5_pct: float | None
    trained: bool = Field(description="false: the accuracies are those of the supernet's weights")


class ResultView(View):
    """What a succeeded search hands over."""

    model_config = ConfigDict(extra="ignore")

    architecture: ArchitectureSummary
    flops_budget: int
    slack_pct: float = Field(description="of the budget, unused")
    test_correct: int
    test_images: int
    checkpoint_sha256: str
    weights_sha256: str
    seconds_by_phase: dict[str, float]
    comparison: dict[str, Any]
    stop_reason: StopReason
    exact: bool = Field(description="false: resumed on other hardware, so not bit-for-bit repeatable")
    notes: list[str]


class SearchSummary(View):
    """One line of the list of searches."""

    id: str
    state: SearchState
    phase: Phase | None
    dataset: str
    flops_budget: int
    progress: ProgressView | None
    best_arch_id: str | None
    macs: int | None = Field(description="of the result")
    test_top1_pct: float | None = Field(description="of the result")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, search: models.Search) -> Self:
        found = (search.result or {}).get("architecture", {})
        extra = {
            "flops_budget": search.config["flops_budget"],
            "macs": found.get("macs"),
            "test_top1_pct": found.get("test_top1_pct"),
        }
        own = {name: getattr(search, name) for name in cls.model_fields if name not in extra}
        return cls.model_validate(own | extra)


class SearchList(View):
    """Searches, newest first."""

    searches: list[SearchSummary]
    next_page_token: str | None = Field(description="pass it as `page_token` with the same filter; null: no more")
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def of(cls, page: SearchPage) -> Self:
        return cls(searches=[SearchSummary.of(row) for row in page.searches], next_page_token=page.next_page_token)


class SearchView(View):
    """A search: what was asked, where it is, what came of it. A failed search is an answer, not an HTTP error."""

    id: str
    state: SearchState
    phase: Phase | None
    stop_reason: StopReason | None
    dataset: str
    flops_budget: int
    config: dict[str, Any] = Field(description="a SearchConfig with all defaults")
    progress: ProgressView | None
    best: ArchitectureSummary | None = Field(description="the best architecture so far")
    result: ResultView | None
    error: ErrorView | None
    attempts: list[AttemptView]
    created_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def of(
        cls,
        search: models.Search,
        attempts: Sequence[models.Attempt],
        best: models.Architecture | None,
        downloadable: bool,
    ) -> Self:
        extra = {
            "flops_budget": search.config["flops_budget"],
            "best": best,
            "attempts": attempts,
            "links": _links(search, downloadable),
        }
        own = {name: getattr(search, name) for name in cls.model_fields if hasattr(search, name) and name not in extra}
        return cls.model_validate(own | extra, from_attributes=True)


def _links(search: models.Search, downloadable: bool) -> dict[str, str]:
    own = f"/searches/{search.id}"
    links = {"self": own} | {name: f"{own}/{name}" for name in ("events", "metrics", "logs", "architectures")}
    if not search.state.final:
        links["cancel"] = f"{own}/cancel"
    if search.best_arch_id is not None:
        links["best"] = f"/architectures/{search.best_arch_id}"
    if downloadable:
        links["checkpoint"] = f"/architectures/{search.best_arch_id}/checkpoint?search_id={search.id}"
    return links


class PlanView(View):
    """The answer to `validate_only`: the search would be accepted, and this is what it would search in."""

    valid: Literal[True] = True
    dataset: str
    flops_budget: int
    search_space: str
    resolution: int
    num_classes: int
    feasible_range: MacsRange
    macs_counting_rule: CountingRule = macs.COUNTING_RULE


# Events, metrics, logs -----------------------------------------------------------------------------------------------


class EventView(View):
    """Something that happened; `seq` counts 1, 2, 3, ... in each search."""

    seq: int
    kind: str
    at: datetime
    attempt: int = Field(validation_alias="fence")
    detail: dict[str, Any]


class EventList(View):
    events: list[EventView]
    last_seq: int = Field(description="pass it as `after` to get what comes next")
    final: bool = Field(description="nothing will come any more")


class MetricPoint(View):
    """One point of the time series; a value that was not finite is null."""

    seq: int
    attempt: int = Field(validation_alias="fence")
    phase: Phase
    epoch: int
    at: datetime
    values: dict[str, float | None]


class MetricList(View):
    points: list[MetricPoint]
    last_seq: int = Field(description="pass it as `after` to get what comes next")


class AttemptLog(View):
    """The end of the log of one attempt."""

    attempt: int
    lines: list[str]


class LogList(View):
    logs: list[AttemptLog]


# Architectures -------------------------------------------------------------------------------------------------------


class LightNLView(View):
    nl_ratio: float
    nl_stride: int


class BlockView(View):
    """One block, with what it costs."""

    in_channels: int
    out_channels: int
    stride: int
    kernel_size: int
    expand_ratio: int
    se_ratio: float
    light_nl: LightNLView | None
    residual: bool
    in_size: int = Field(description="rows (and columns) of its input")
    out_size: int
    macs: int
    params: int


class ArchitectureView(ArchitectureSummary):
    """An architecture, whole: `arch` is its data form, `blocks` the same with costs."""

    search_id: str
    arch: dict[str, Any]
    blocks: list[BlockView]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def of(cls, row: models.Architecture) -> Self:
        own = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls.model_validate(own | {"blocks": _blocks(ArchSpec.from_json(row.arch))}, from_attributes=True)


class ArchitectureList(View):
    architectures: list[ArchitectureSummary]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE


def _blocks(arch: ArchSpec) -> list[dict[str, Any]]:
    sizes = macs.block_sizes(arch)
    return [
        {
            **{name: getattr(block, name) for name in BlockView.model_fields if hasattr(block, name)},
            "in_size": in_size,
            "out_size": out_size,
            "macs": macs.block_macs(block, in_size).total,
            "params": macs.block_params(block),
        }
        for block, in_size, out_size in zip(arch.blocks, sizes[:-1], sizes[1:], strict=True)
    ]


# Data sets and search spaces -----------------------------------------------------------------------------------------


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


class Health(View):
    status: Literal["ok"] = "ok"


class Readiness(View):
    """Everything the service needs, each `ok`."""

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
