"""Architectures, with what each block costs."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from api.schemas.base import CountingRule, View
from autonl_core.spec import macs
from autonl_core.spec.arch import Activation, ArchSpec, Divisor, SeGate
from store import models


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


class LightNLView(View):
    nl_ratio: float
    nl_stride: int
    divisor: Divisor


class BlockView(View):
    """One block, with what it costs."""

    in_channels: int
    out_channels: int
    stride: int
    kernel_size: int
    expand_ratio: float
    se_ratio: float
    se_gate: SeGate
    light_nl: LightNLView | None
    activation: Activation
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
