"""Latencies: as a table, and which form of the network is the fastest of those that are delivered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autonl_core.report.facts import Facts
from autonl_core.report.table import Table
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat
from autonl_core.spec.result import NOISY_SPREAD_PCT, FormatParity

_OF_WEIGHTS = {"eager": "PyTorch, as trained", "fused": "PyTorch, batch norms folded"}  # of model.safetensors
LATENCY_FORMS = {
    **_OF_WEIGHTS,
    **{name: spec.latency.title for name, spec in NETWORK_FORMAT_SPECS.items() if spec.latency is not None},
}


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a batch in one form of the network; `spread_pct` is None if it was not measured."""

    form: str
    median_ms: float
    spread_pct: float | None = None

    @property
    def is_noisy(self) -> bool:
        return self.spread_pct is not None and self.spread_pct > NOISY_SPREAD_PCT

    @property
    def spread(self) -> str:
        """How far the runs spread, and whether that is too far; "" if it was not measured."""
        if self.spread_pct is None:
            return ""
        # rounded up, so that what is noisy never reads as the limit itself
        return f", spread {math.ceil(self.spread_pct)}%" + (", noisy" if self.is_noisy else "")


@dataclass(frozen=True)
class Timings:
    """Medians and spreads, by form of the network, then by batch size; `parity` says which forms are delivered."""

    median_ms: Mapping[str, Mapping[str, float]]
    spread_pct: Mapping[str, Mapping[str, float]]
    parity: Mapping[NetworkFormat, FormatParity]

    @property
    def sizes(self) -> list[int]:
        """The batch sizes, in ascending order."""
        return sorted({int(size) for by_size in self.median_ms.values() for size in by_size})

    def is_delivered(self, form: str) -> bool:
        """Whether there is a file to run it with."""
        return form in _OF_WEIGHTS or (form in self.parity and self.parity[form].withheld is None)

    def title(self, form: str) -> str:
        """The form in words, and whether it is not delivered."""
        absent = "withheld" if form in self.parity else "not among the files"
        return LATENCY_FORMS.get(form, form) + ("" if self.is_delivered(form) else f" ({absent})")

    def fastest(self, size: int) -> Timing | None:
        """The delivered form with the lowest median, however noisy it is; None: nothing was measured."""
        return min(self._delivered(size), key=lambda timing: timing.median_ms, default=None)

    def is_decided(self, size: int) -> bool:
        """Whether the fastest form is: not if the timing of any delivered form is noisy."""
        return not any(timing.is_noisy for timing in self._delivered(size))

    def timing(self, form: str, size: int) -> Timing | None:
        """Of a batch of `size`; None: not measured."""
        median_ms = self.median_ms.get(form, {}).get(str(size))
        return None if median_ms is None else Timing(form, median_ms, self.spread_pct.get(form, {}).get(str(size)))

    def _delivered(self, size: int) -> Iterator[Timing]:
        for form in filter(self.is_delivered, self.median_ms):
            if (timing := self.timing(form, size)) is not None:
                yield timing


def timings_of(facts: Facts) -> Timings:
    """Those of a report, as far as they were measured."""
    return Timings(facts.latency_ms or {}, facts.latency_spread_pct or {}, facts.parity or {})


def latency(facts: Facts) -> Table | None:
    """Milliseconds per batch, and per image in it, and how far the runs spread."""
    found = timings_of(facts)
    if not found.sizes:
        return None
    rows = [(found.title(form), *(_time(found, form, size) for size in found.sizes)) for form in found.median_ms]
    return Table(("form", *(f"batch of {size}, ms" for size in found.sizes)), tuple(rows))


def _time(found: Timings, form: str, size: int) -> str:
    timing = found.timing(form, size)
    if timing is None:
        return "–"
    per_image = f" ({timing.median_ms / size:.3f} per image)" if size > 1 else ""
    return f"{timing.median_ms:.3f}{per_image}{timing.spread}"


def headline(facts: Facts) -> tuple[str, str, str]:
    """One image in the fastest form that is delivered, as a row of the key figures."""
    best = timings_of(facts).fastest(1)
    if best is None:
        layers_ms = sum(layer.time_ms for layer in facts.architecture.layers)
        return "latency of one image", f"{layers_ms:.2f} ms", "PyTorch, sum over layers"
    noisy = best.spread if best.is_noisy else ""
    return "latency of one image", f"{best.median_ms:.2f} ms", LATENCY_FORMS.get(best.form, best.form) + noisy
