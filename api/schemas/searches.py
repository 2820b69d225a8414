"""Searches: the summary in lists, and the full view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import AliasPath, Field

from api.schemas.architectures import ArchitectureSummary
from api.schemas.base import CountingRule, View, mirrors
from api.schemas.progress import ProgressView, QueueView
from api.schemas.result_parts import (
    BaselineResultView,
    CertificateView,
    ClassResultView,
    LatencyCheckView,
    NotSureView,
    ParityView,
    ProbabilityCalibrationView,
)
from api.schemas.weights import NormalisationView
from autonl_core.spec import doubtful_labels, macs
from autonl_core.spec.formats import NetworkFormat
from autonl_core.spec.pretrained_start import PretrainedStart, ResolutionTrial
from autonl_core.spec.progress import Phase
from autonl_core.spec.result import NOISY_SPREAD_PCT, SearchResult
from store import models
from store.queue_places import QueuePlace
from store.search_lists import SearchPage
from store.search_progress import search_progress
from store.searches import search_result
from store.states import ExitClass, SearchState, StopReason
from store.transitions import allowed_requests


class AttemptView(View):
    """An attempt to run a search: its number, its worker, and how it ended."""

    attempt: int = Field(validation_alias="fence")
    owner: str
    started_at: datetime
    ended_at: datetime | None
    exit_class: ExitClass | None
    detail: str | None
    compute_s: float = Field(description="CPU seconds that it has used, as far as its worker has reported")


class ErrorView(View):
    """Why a search failed."""

    type: str
    detail: str


class FileView(View):
    """A file to download with `checkpoint?format=`."""

    name: str = Field(validation_alias=AliasPath("path", "name"))
    sha256: str
    size_bytes: int


@mirrors(ResolutionTrial, descriptions={"loss": "on validation images", "top1_pct": "on validation images"})
class ResolutionTrialView(View):
    """A uniform network within the budget, at one resolution, after a short training."""


@mirrors(
    PretrainedStart,
    types={"normalisation": NormalisationView, "trials": list[ResolutionTrialView]},
    descriptions={
        "weights": "name of the weight set",
        "network": "its architecture, as in GET /baselines; null: none of these",
        "licence": "null: not stated",
        "top1_pct": "as published",
        "teacher_resolution": "at which the whole network was fine-tuned",
        "trials": "the resolutions that were tried; empty: there was only one",
        "inherited": "false: the result only learned from the answers of the fine-tuned network",
    },
)
class PretrainedStartView(View):
    """The pretrained weights that a result derives from, and how they were adapted to its dataset."""


@mirrors(
    SearchResult,
    # Of networks and test images there are many: GET /searches/{id}/trade-off has these, GET /comparison uses those.
    without={"checkpoint", "networks", "test_right"},
    types={
        "architecture": ArchitectureSummary,
        "stop_reason": StopReason,
        "files": dict[str, FileView],
        "parity": dict[NetworkFormat, ParityView],
        "certificate": CertificateView | None,
        "baselines": list[BaselineResultView],
        "init": PretrainedStartView | None,
        "classes": list[ClassResultView],
        "not_sure": NotSureView | None,
        "latency_check": LatencyCheckView | None,
        "calibration": ProbabilityCalibrationView | None,
    },
    descriptions={
        "slack_pct": "unused share of the budget",
        "exact": "false: not exactly repeatable, because hardware, threads or versions changed, or memory ran out",
        "files": "the files to download, by format",
        "parity": "accuracy of the network in each format, including withheld ones",
        "certificate": "that the network stays within its budget",
        "latency_ms": "median time of a forward pass on `machine`, by format and batch size",
        "latency_spread_pct": "from the 10th to the 90th percentile of the passes, in percent of their median; above "
        f"{NOISY_SPREAD_PCT:g}, other work disturbed the measurement",
        "machine": "where the search ran: processor and threads",
        "layer_times_ms": "median times of `stem`, `block 1`, ..., `head` and `classifier` on one image, on `machine`, "
        "in PyTorch with batch norms folded; empty: an earlier version did not store them",
        "baselines": "in the order of the configuration",
        "init": "null: the search started from random weights",
        "classes": "in the order of the logits; empty: an earlier version did not store them",
        "not_sure": "null: too few test images show where the network errs, or an earlier version made the result",
        "latency_check": "null: the search does not limit latency",
        "calibration": "null: there are too few test images, or an earlier version made the result",
    },
)
class ResultView(View):
    """What a search produced."""


class SupernetView(View):
    """What a search leaves to later ones on the same dataset, once it has succeeded: `init: "search:ID"`."""

    size_bytes: int
    kept_until: datetime | None = Field(description="null: the search is not final yet")


class BudgetView(View):
    """One of several budgets, and the search for it."""

    flops_budget: int
    search_id: str | None = Field(description="null: the shared weights are still learning; then it is queued")
    state: SearchState | None
    macs: int | None = Field(description="of its result")
    test_top1_pct: float | None = Field(description="of its result")

    @classmethod
    def of(cls, budget_macs: int, searches: Sequence[models.Search]) -> Self:
        search = next((one for one in searches if one.config["flops_budget"] == budget_macs), None)
        result = search_result(search) if search is not None else None
        return cls(
            flops_budget=budget_macs,
            search_id=search.id if search is not None else None,
            state=search.state if search is not None else None,
            macs=result.architecture.macs if result is not None else None,
            test_top1_pct=result.architecture.test_top1_pct if result is not None else None,
        )


_VAL_IMAGES = "validation images, about: `val_fraction` of the training images"


class SearchSummary(View):
    """A search in a list."""

    id: str
    state: SearchState
    phase: Phase | None
    dataset: str
    labels: dict[str, str]
    flops_budget: int
    progress: ProgressView | None
    queue: QueueView | None = Field(description="null: it is not queued")
    best_arch_id: str | None
    macs: int | None = Field(description="of the result")
    test_top1_pct: float | None = Field(description="of the result")
    best_macs: int | None = Field(description="of the best architecture so far")
    best_val_top1_pct: float | None = Field(description="the same, on about `val_images` validation images")
    val_images: int = Field(description=_VAL_IMAGES)
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def from_row(cls, search: models.Search, place: QueuePlace | None, best: models.Architecture | None) -> Self:
        result = search_result(search)
        derived = {
            "progress": search_progress(search),
            "queue": place,
            "flops_budget": search.config["flops_budget"],
            "macs": result.architecture.macs if result else None,
            "test_top1_pct": result.architecture.test_top1_pct if result else None,
            "best_macs": best.macs if best else None,
            "best_val_top1_pct": best.val_top1_pct if best else None,
            "val_images": _val_images(search),
        }
        stored = {name: getattr(search, name) for name in cls.model_fields if name not in derived}
        return cls.model_validate(stored | derived)


class SearchList(View):
    """Searches, newest first."""

    searches: list[SearchSummary]
    next_page_token: str | None = Field(description="pass it as `page_token` with the same filter; null: last page")
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def from_page(
        cls, page: SearchPage, places: Mapping[str, QueuePlace], best: Mapping[str, models.Architecture]
    ) -> Self:
        searches = [SearchSummary.from_row(row, places.get(row.id), best.get(row.id)) for row in page.searches]
        return cls(searches=searches, next_page_token=page.next_page_token)


class SearchView(View):
    """A search: configuration, progress and result. A failed search is a normal response, not an HTTP error."""

    id: str
    state: SearchState
    phase: Phase | None
    stop_reason: StopReason | None
    dataset: str
    labels: dict[str, str]
    flops_budget: int
    budgets: list[BudgetView] = Field(description="all of `flops_budgets`, and the searches for them; empty: only one")
    config: dict[str, Any] = Field(description="a SearchConfig with all defaults filled in")
    progress: ProgressView | None
    saved_step: int = Field(description="number of the last run state; 0: none, resuming begins from the start")
    queue: QueueView | None = Field(description="null: it is not queued")
    best: ArchitectureSummary | None = Field(description="the best architecture so far")
    val_images: int = Field(description=_VAL_IMAGES)
    result: ResultView | None
    supernet: SupernetView | None = Field(description="null: none yet, or it is not kept")
    error: ErrorView | None
    attempts: list[AttemptView]
    created_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def from_row(
        cls,
        search: models.Search,
        attempts: Sequence[models.Attempt],
        best: models.Architecture | None,
        is_downloadable: bool,
        supernet: SupernetView | None,
        of_all_budgets: Sequence[models.Search],
        place: QueuePlace | None = None,
    ) -> Self:
        result = search_result(search)
        budgets = search.config.get("flops_budgets", ()) if of_all_budgets else ()
        derived = {
            "budgets": [BudgetView.of(budget_macs, of_all_budgets) for budget_macs in budgets],
            "flops_budget": search.config["flops_budget"],
            "progress": search_progress(search),
            "queue": place,
            "best": best,
            "val_images": _val_images(search),
            "result": result,
            "supernet": supernet,
            "attempts": attempts,
            "links": _links(search, result, is_downloadable),
        }
        names = [name for name in cls.model_fields if hasattr(search, name) and name not in derived]
        return cls.model_validate({name: getattr(search, name) for name in names} | derived, from_attributes=True)


def _val_images(search: models.Search) -> int:
    """As many as are drawn if no class is so small that rounding counts; how many exactly is known to the search."""
    fraction: float = search.config.get("val_fraction", 0.1)
    train_images: int = search.dataset_spec["train_images"]
    return max(1, round(train_images * fraction))


_ALWAYS = ("events", "metrics", "logs", "architectures", "architecture-history", "trade-off", "repeats")  # of all


def _links(search: models.Search, result: SearchResult | None, is_downloadable: bool) -> dict[str, str]:
    own = f"/searches/{search.id}"
    links = {"self": own} | {name: f"{own}/{name}" for name in _ALWAYS}
    links |= {request.value: f"{own}/{request}" for request in allowed_requests(search.state)}
    if search.best_arch_id is not None:
        links["best"] = f"/architectures/{search.best_arch_id}"
    if is_downloadable:
        links["checkpoint"] = f"/architectures/{search.best_arch_id}/checkpoint?search_id={search.id}"
    if result is not None and "report-html" in result.files:
        links["report"] = f"{own}/report"
    if result is not None and doubtful_labels.KIND in result.files:
        links["doubtful-labels"] = f"{own}/doubtful-labels"
    return links
