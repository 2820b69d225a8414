"""A published network: its architecture, and the figures of its paper."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import decode


@dataclass(frozen=True)
class PublishedNet:
    """A network of the literature at its input size and 1,000 classes, with its published figures."""

    name: str
    title: str
    arch_string: str
    macs: int  # published, by the counting rule of its authors
    params: int  # published
    top1_pct: float  # ImageNet, published
    source: str
    order: int = 100  # place in listings; equal ones by name

    @cached_property
    def arch(self) -> ArchSpec:
        return decode(self.arch_string)


def adapt(arch: ArchSpec, *, resolution: int | None = None, num_classes: int | None = None) -> ArchSpec:
    """`arch` for another input size or class count; every width stays."""
    return replace(
        arch,
        resolution=arch.resolution if resolution is None else resolution,
        num_classes=arch.num_classes if num_classes is None else num_classes,
    )
