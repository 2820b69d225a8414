"""Architectures, with the cost of every block."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from api.schemas.base import CountingRule, View, mirrors
from autonl_core.spec import macs
from autonl_core.spec.arch import Activation, ArchSpec, LightNLSpec, SeGate
from autonl_core.spec.progress import ArchitectureRecord
from autonl_core.spec.side_by_side.layers import aligned_layers
from store import models


@mirrors(
    ArchitectureRecord,
    without={"arch", "val_images"},  # a search says on how many images its networks are measured
    descriptions={"trained": "false: the accuracies are those of the supernet's weights"},
)
class ArchitectureSummary(View):
    """The figures of an architecture. Accuracies that were not measured are null."""


@mirrors(LightNLSpec)
class LightNLView(View):
    """The LightNL layer of a block."""


class BlockView(View):
    """A block and its cost."""

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
    in_size: int = Field(description="height and width of its input in pixels")
    out_size: int
    macs: int
    params: int


class EndView(View):
    """What stem or head cost: with the blocks, they add up to the architecture."""

    macs: int
    params: int


class ArchitectureView(ArchitectureSummary):
    """A complete architecture: `arch` is its JSON form, `blocks` the same with costs."""

    search_id: str
    arch: dict[str, Any]
    stem: EndView
    blocks: list[BlockView]
    head: EndView = Field(description="all that follows the blocks, with the classifier")
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def from_row(cls, row: models.Architecture) -> Self:
        stored = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        arch = ArchSpec.from_json(row.arch)
        (stem, *_, head) = (aligned.layers[0] for aligned in aligned_layers([arch]))
        return cls.model_validate(stored | {"stem": stem, "blocks": _blocks(arch), "head": head}, from_attributes=True)


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
