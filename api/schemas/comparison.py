"""Two to five searches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, Self

from pydantic import AliasPath, Field

from api.schemas.base import CountingRule, View, mirrors
from autonl_core.spec import macs
from autonl_core.spec.activation_memory import peak_activation_bytes
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.formats import NETWORK_FORMATS
from autonl_core.spec.result import SearchResult
from autonl_core.spec.side_by_side.accuracy import (
    AccuracyDifference,
    TestScore,
    accuracy_differences,
    classes_agree,
    reason_not_comparable,
)
from autonl_core.spec.side_by_side.layers import AlignedLayers, ComparedLayer, aligned_layers
from autonl_core.spec.side_by_side.settings import DifferingSetting, differing_settings
from autonl_core.wording.evidence import wilson_pct
from store.compared_searches import ComparedSearch
from store.searches import search_result
from store.states import SearchState

_BEST = "of the result, or else of the best architecture so far; null: none yet"
_RESULT = "of the result; null: none yet"


class ComparedSearchView(View):
    """A search, and the key figures of what it found."""

    search_id: str
    state: SearchState
    dataset: str
    labels: dict[str, str]
    flops_budget: int
    created_at: datetime
    arch_id: str | None = Field(description=_BEST)
    macs: int | None = Field(description=_BEST)
    params: int | None = Field(description=_BEST)
    resolution: int | None = Field(description=f"pixels, {_BEST}")
    peak_activation_bytes: int | None = Field(
        description=f"largest sum of maps needed at once, float32, one image; {_BEST}"
    )
    test_top1_pct: float | None = Field(description=_RESULT)
    test_top1_low_pct: float | None = Field(description=f"lower end of the 95% interval (Wilson), {_RESULT}")
    test_top1_high_pct: float | None = Field(description=f"upper end, {_RESULT}")
    test_correct: int | None = Field(description=_RESULT)
    test_images: int | None = Field(description=_RESULT)
    file_bytes: dict[str, int] = Field(description="size of the network by format; empty: no result yet")
    latency_ms: dict[str, dict[str, float]] = Field(
        description="median by format and batch size, on the machine that ran the search; empty: no result yet"
    )
    search_s: float | None = Field(description=f"time in all phases, {_RESULT}")
    compute_s: float = Field(description="CPU seconds of all attempts so far, as their workers have reported")

    @classmethod
    def of(cls, compared: ComparedSearch, result: SearchResult | None, arch: ArchSpec | None) -> Self:
        search, best = compared.search, compared.best
        low_pct, high_pct = wilson_pct(result.test_correct, result.test_images) if result else (None, None)
        return cls(
            search_id=search.id,
            state=search.state,
            dataset=search.dataset,
            labels=search.labels,
            flops_budget=search.config["flops_budget"],
            created_at=search.created_at,
            arch_id=best.arch_id if best else None,
            macs=best.macs if best else None,
            params=best.params if best else None,
            resolution=arch.resolution if arch else None,
            peak_activation_bytes=peak_activation_bytes(arch) if arch else None,
            test_top1_pct=result.architecture.test_top1_pct if result else None,
            test_top1_low_pct=low_pct,
            test_top1_high_pct=high_pct,
            test_correct=result.test_correct if result else None,
            test_images=result.test_images if result else None,
            file_bytes=_file_bytes(result) if result else {},
            latency_ms={name: dict(sizes) for name, sizes in result.latency_ms.items()} if result else {},
            search_s=sum(result.seconds_by_phase.values()) if result else None,
            compute_s=compared.compute_s,
        )


@mirrors(
    DifferingSetting,
    types={"values": list[Any]},
    descriptions={
        "path": "as in the configuration of a search, with its sections: `train.epochs`",
        "values": "in the order of `searches`; null also where a search does not know the setting",
    },
)
class DifferingSettingView(View):
    """A setting in which the searches differ."""


@mirrors(
    AccuracyDifference,
    without={"gap"},
    descriptions={
        "paired": "whether both networks were compared image by image. false: of one of them it is not stored which "
        "images it gets right; then `error_points` and `chance` are upper limits",
        "chance": "how often equally good networks would differ so much or more (exact tests of McNemar and Fisher)",
        "may_be_chance": "whether that explains the difference, at 5% for all differences here together (Holm)",
    },
)
class AccuracyDifferenceView(View):
    """How far the result of one search is ahead of that of another one, on the same test images."""

    points: float = Field(
        validation_alias=AliasPath("gap", "points"), description="of test top-1; below 0: `search_id` is behind"
    )
    error_points: float = Field(validation_alias=AliasPath("gap", "error_points"), description="standard error")


@mirrors(
    ComparedLayer,
    descriptions={
        "notation": "as in arch strings; of a head with the classifier",
        "out_size": "height and width of the output in pixels",
    },
)
class ComparedLayerView(View):
    """Stem, block, or head with all that follows it."""


@mirrors(
    AlignedLayers,
    types={"layers": list[ComparedLayerView | None]},
    descriptions={
        "place": '"stem", "stage 2 block 1" or "head"; a stage begins where the width or the size of the map changes',
        "layers": "in the order of `searches`; null: that one has no block there, or no architecture yet",
        "equal": "whether all that have an architecture have the same layer there, on maps of the same size",
    },
)
class AlignedLayersView(View):
    """The same place in the architectures of all searches."""


class RecallView(View):
    """How many test images of a class the result of a search recognises."""

    correct: int
    recall_pct: float | None = Field(description="null: there is no test image of the class")


class ComparedClassView(View):
    """A class, and what each result recognises of it."""

    name: str
    test_images: int
    results: list[RecallView | None] = Field(description="in the order of `searches`; null: no result yet")


class ComparisonView(View):
    """Several searches side by side: what differs in their settings, and in what they found."""

    searches: list[ComparedSearchView] = Field(description="in the order of the request")
    settings_that_differ: list[DifferingSettingView]
    accuracies_comparable: bool = Field(description="whether all results were scored on the same test images")
    not_comparable: list[str] = Field(description="why not, a sentence for each pair of results; empty: they are")
    accuracy_differences: list[AccuracyDifferenceView] = Field(
        description="of every pair of results that is comparable; the error says how sure a difference is"
    )
    latencies_comparable: bool = Field(description="whether all results were timed on machines with one description")
    layers: list[AlignedLayersView] = Field(description="the architectures from input to output; empty: none yet")
    classes: list[ComparedClassView] = Field(
        description="in the order of the logits; empty: fewer than two results have them, or their classes or test "
        "images differ"
    )
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def of(cls, compared: Sequence[ComparedSearch]) -> Self:
        results = [search_result(each.search) for each in compared]
        archs = [ArchSpec.from_json(each.best.arch) if each.best else None for each in compared]
        known = [(each, result) for each, result in zip(compared, results, strict=True) if result is not None]
        scores = [_score(each, result) for each, result in known]
        reasons = [reason for pair in combinations(scores, 2) if (reason := reason_not_comparable(*pair)) is not None]
        derived = {
            "searches": [ComparedSearchView.of(*each) for each in zip(compared, results, archs, strict=True)],
            "settings_that_differ": differing_settings([each.search.config for each in compared]),
            "accuracies_comparable": len(scores) > 1 and not reasons,
            "not_comparable": [f"{reason}; their accuracies cannot be compared" for reason in reasons],
            "accuracy_differences": accuracy_differences(scores),
            "latencies_comparable": _same_machine([result for _, result in known]),
            "layers": aligned_layers(archs),
            "classes": _classes(results) if len(scores) > 1 and not reasons and classes_agree(scores) else [],
        }
        return cls.model_validate(derived, from_attributes=True)


def _score(compared: ComparedSearch, result: SearchResult) -> TestScore:
    search = compared.search
    return TestScore(
        search_id=search.id,
        dataset=search.dataset,
        fingerprint=search.dataset_spec["fingerprint"],
        correct=result.test_correct,
        images=result.test_images,
        classes=result.classes,
        right=result.test_right,
    )


def _file_bytes(result: SearchResult) -> dict[str, int]:
    return {name: file.size_bytes for name, file in result.files.items() if name in NETWORK_FORMATS}


def _same_machine(results: Sequence[SearchResult]) -> bool:
    """Whether there are latencies to compare, all measured on machines of which the same is stored."""
    timed = [result.machine for result in results if result.latency_ms]
    return len(timed) > 1 and all(machine and machine == timed[0] for machine in timed)


def _classes(results: Sequence[SearchResult | None]) -> list[ComparedClassView]:
    """Of results whose classes agree."""
    (first, *_) = (result for result in results if result is not None)
    return [
        ComparedClassView(
            name=each.name,
            test_images=each.test_images,
            results=[_recall(result, place) if result is not None else None for result in results],
        )
        for place, each in enumerate(first.classes)
    ]


def _recall(result: SearchResult, place: int) -> RecallView:
    of_class = result.classes[place]
    images = of_class.test_images
    return RecallView(correct=of_class.correct, recall_pct=100 * of_class.correct / images if images else None)
