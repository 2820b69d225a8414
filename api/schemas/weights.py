"""Weight sets: what they hold, where they come from, and why they are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from api.schemas.base import CountingRule, View, mirrors
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import encode
from autonl_core.spec.macs import COUNTING_RULE, count_macs, count_params
from autonl_core.spec.weight_set import Normalisation, Origin, WeightProblem
from store.states import WeightSetState
from store.weight_sets import WeightSetEntry


@mirrors(
    WeightProblem,
    descriptions={
        "code": "stable identifier for programs",
        "detail": "what it means and the way out",
        "tensors": "everything that does not fit, one sentence each",
    },
)
class WeightProblemView(View):
    """A finding that keeps weights from being used."""


@mirrors(Normalisation)
class NormalisationView(View):
    """How pixels are fed, per channel: scaled to 0 to 1, minus `mean`, divided by `std`."""


class WeightsArchitecture(View):
    """The architecture that weights belong to: its JSON form, and its cost at the resolution of the weights."""

    arch_id: str
    arch_string: str
    arch: dict[str, Any]
    macs: int
    params: int
    macs_counting_rule: CountingRule = COUNTING_RULE

    @classmethod
    def from_arch(cls, arch: ArchSpec) -> Self:
        return cls(
            arch_id=arch.arch_id,
            arch_string=encode(arch),
            arch=arch.to_json(),
            macs=count_macs(arch).total,
            params=count_params(arch),
        )


class WeightSetView(View):
    """A weight set. Values that were not stated, or that its check has not determined yet, are null."""

    name: str
    state: WeightSetState = Field(
        description="only `ready` weights can be used; the `problems` of `refused` ones say why"
    )
    origin: Origin
    network: str | None = Field(description="name of its architecture in GET /baselines; null: none of these")
    num_classes: int | None
    resolution: int | None = Field(description="pixels, that it was trained at")
    normalisation: NormalisationView | None
    source: str | None = Field(description="where the weights come from")
    licence: str | None
    top1_pct: float | None = Field(description="as published")
    format: str | None = Field(description="of the file")
    sha256: str = Field(description="of the file")
    size_bytes: int = Field(description="of the file")
    architecture: WeightsArchitecture | None = Field(description="null in lists")
    problems: list[WeightProblemView] = Field(description="why it is refused; empty in lists")
    progress: float | None = Field(description="of a running check, 0 to 1")
    created_at: datetime | None = Field(description="null for built-in weights")

    @classmethod
    def from_entry(cls, entry: WeightSetEntry, *, complete: bool = True) -> Self:
        """The view of `entry`; in lists not `complete`, without architecture and problems."""
        known = entry.details if entry.weights is None else entry.weights
        values = {name: getattr(entry, name, getattr(known, name, None)) for name in cls.model_fields}
        values["problems"] = list(entry.problems) if complete else []
        values["architecture"] = None
        if complete and entry.weights is not None:
            values["architecture"] = WeightsArchitecture.from_arch(entry.weights.arch)
        return cls.model_validate(values, from_attributes=True)


class WeightSetList(View):
    weights: list[WeightSetView]
