"""Searches: one line of the list, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field

from api.schemas.architectures import ArchitectureSummary
from api.schemas.base import CountingRule, MacsRange, View
from autonl_core.spec import macs
from autonl_core.spec.formats import NetworkFormat
from autonl_core.spec.progress import Phase
from store import models
from store.searches import SearchPage, search_result
from store.states import ExitClass, SearchState, StopReason
from store.transitions import allowed_requests


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


class FileView(View):
    """A file to download, as `checkpoint?format=`."""

    name: str
    sha256: str
    size_bytes: int


class ParityView(View):
    """The network in one format, scored on the whole test split by a process that has none of our code."""

    correct: int | None = Field(description="test images; null: it could not be scored at all")
    top1_pct: float | None
    max_logit_diff: float | None = Field(description="the largest difference of a logit to the safetensors file")
    disagreeing_images: int | None = Field(description="test images that it puts into another class than that file")
    size_bytes: int | None
    sha256: str | None
    withheld: str | None = Field(description="why the file is not handed over; null: it is")


class CertificateView(View):
    """MACs of one image, counted on the nodes of the exported graph alone."""

    counted_on: str
    rule: str
    resolution: int
    target_macs: int
    achieved_macs: int
    slack_macs: int
    slack_pct: float
    by_op: dict[str, int]


class BaselineResultView(View):
    """A published network, scaled to the budget and trained with the recipe of the result."""

    name: str
    arch_string: str
    macs: int
    params: int
    test_correct: int | None = Field(description="null: its training broke off, see `problem`")
    test_top1_pct: float | None
    problem: str | None


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
    exact: bool = Field(description="false: other hardware, threads or versions took over, or memory ran out")
    notes: list[str]
    files: dict[str, FileView] = Field(default={}, description="what can be downloaded, by format")
    parity: dict[NetworkFormat, ParityView] = Field(
        default={}, description="what each format of the network scores, those withheld included"
    )
    certificate: CertificateView | None = Field(default=None, description="that the network keeps to its budget")
    latency_ms: dict[str, dict[str, float]] = Field(
        default={}, description="median time of a forward pass on `machine`, by form and images in a batch"
    )
    machine: dict[str, Any] = Field(default={}, description="that searched: processor and threads")
    baselines: list[BaselineResultView] = Field(default=[], description="in the order of the configuration")


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
        result = search_result(search)
        extra = {
            "flops_budget": search.config["flops_budget"],
            "macs": result.architecture.macs if result is not None else None,
            "test_top1_pct": result.architecture.test_top1_pct if result is not None else None,
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
    for request in allowed_requests(search.state):
        links[request.value] = f"{own}/{request}"
    if search.best_arch_id is not None:
        links["best"] = f"/architectures/{search.best_arch_id}"
    if downloadable:
        links["checkpoint"] = f"/architectures/{search.best_arch_id}/checkpoint?search_id={search.id}"
    result = search_result(search)
    if result is not None and "report-html" in result.files:
        links["report"] = f"{own}/report"
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
