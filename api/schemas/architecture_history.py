"""How gates, options and the derived network changed over the epochs of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from api.schemas.architectures import LightNLView
from api.schemas.base import CountingRule, View, mirrors
from autonl_core.spec import macs
from autonl_core.spec.arch import BlockSpec
from autonl_core.spec.architecture_history import (
    ArchitectureHistory,
    HistoryEntry,
    HistoryGate,
    HistoryPosition,
    PositionOption,
    ReportedNetwork,
    history_of,
    note_of,
)
from store.models import Search

_BEFORE_EPOCHS = (None, "preparing", "adapting", "searching")  # phases in which the last epoch has not ended


@mirrors(BlockSpec, types={"light_nl": LightNLView | None})
class OptionBlockView(View):
    """The block of an option."""


@mirrors(
    PositionOption,
    types={"block": OptionBlockView | None},
    descriptions={
        "name": "kernel, expansion, and ratio and stride of LightNL: `k5 e6 NL 0.25 s1`; or `skipped`",
        "block": "null: the layer is skipped",
    },
)
class PositionOptionView(View):
    """One concrete block at one position, or none."""


@mirrors(
    HistoryPosition,
    types={"options": list[PositionOptionView]},
    descriptions={
        "position": "counted from 1",
        "place": "`stage 2 block 1`; skipped blocks count",
        "in_size": "height and width of its input in pixels",
        "options": "those that stood there at some time",
    },
)
class HistoryPositionView(View):
    """A position of the supernet."""


@mirrors(HistoryGate, descriptions={"title": "what it opens"})
class HistoryGateView(View):
    """A gate of a position."""


@mirrors(
    HistoryEntry,
    types={"options": list[int], "gates": list[float | None], "changed": list[int]},
    descriptions={
        "epoch": "of the supernet, after which this network would have been derived; null: it is derived",
        "val_top1_pct": "on validation images; after an epoch with the shared weights",
        "expected_macs": "mean MACs of networks drawn as likely as gates are open; null: derived",
        "options": "for each position, which of its `options` stands there, from 0",
        "gates": "for each of the `gates`, how likely it is open, with four decimals; null: not finite; empty: derived",
        "changed": "positions at which another option stands than in the entry before",
    },
)
class HistoryEntryView(View):
    """The network after an epoch, or the one that was derived."""


@mirrors(
    ArchitectureHistory,
    types={
        "positions": list[HistoryPositionView],
        "gates": list[HistoryGateView],
        "epochs": list[HistoryEntryView],
        "derived": HistoryEntryView | None,
    },
    descriptions={
        "fixed_macs": "of stem and head: with the MACs of its options, the `macs` of an entry",
        "derived": "what was chosen after the last epoch, by candidates and finalists; null: not yet",
    },
)
class _HistoryView(View):
    """All epochs that have ended, in order."""


class ArchitectureHistoryView(_HistoryView):
    """How gates, options and the derived network changed over the epochs of a search."""

    search_id: str
    algorithm: str
    note: str | None = Field(description="where little or nothing moved, what there is to say about it")
    macs_counting_rule: CountingRule = macs.COUNTING_RULE

    @classmethod
    def of(cls, search: Search, reported: Sequence[ReportedNetwork]) -> Self:
        history = history_of(reported)
        is_over = search.state.final or search.phase not in _BEFORE_EPOCHS
        epochs = search.config.get("supernet", {}).get("epochs", 1)
        known = {name: getattr(history, name) for name in ("fixed_macs", "positions", "gates", "epochs", "derived")}
        note = note_of(history, epochs=epochs, is_over=is_over)
        own = {"search_id": search.id, "algorithm": search.config["algorithm"], "note": note}
        return cls.model_validate(known | own, from_attributes=True)
