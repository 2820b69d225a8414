"""A network that a search measured on its way to the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from autonl_core.spec import arch_string
from autonl_core.spec.activation_memory import peak_activation_bytes
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import count_macs, count_params


@dataclass(frozen=True)
class MeasuredNetwork:
    """A candidate, and what it scored on validation images; `origin` says where it came from.

    Args:
        val_top1_pct: on the shared weights.
        final_val_top1_pct: after its last short training; None: it was in no final.
        chosen: whether it is the network that was then trained and delivered.
    """

    arch_string: str
    macs: int
    params: int
    peak_activation_bytes: int
    origin: str
    val_top1_pct: float
    final_val_top1_pct: float | None = None
    chosen: bool = False

    @staticmethod
    def of(arch: ArchSpec, origin: str, val_top1_pct: float) -> MeasuredNetwork:
        """Before any final."""
        return MeasuredNetwork(
            arch_string=arch_string.encode(arch),
            macs=count_macs(arch).total,
            params=count_params(arch),
            peak_activation_bytes=peak_activation_bytes(arch),
            origin=origin,
            val_top1_pct=round(val_top1_pct, 2),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> MeasuredNetwork:
        return MeasuredNetwork(**data)


def front_of(networks: Sequence[MeasuredNetwork]) -> list[bool]:
    """Of each, whether no other network has a higher top-1 on the shared weights for as many MACs or fewer.

    Of equal ones, the first is on the front.
    """
    order = sorted(range(len(networks)), key=lambda place: (networks[place].macs, -networks[place].val_top1_pct, place))
    on_front, best_pct = [False] * len(networks), float("-inf")
    for place in order:
        if networks[place].val_top1_pct > best_pct:
            on_front[place], best_pct = True, networks[place].val_top1_pct
    return on_front
