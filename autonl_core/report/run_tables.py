"""Tables of how a search was run: seconds, settings, machine and versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autonl_core.report.facts import Facts, RunFacts
from autonl_core.report.figures import duration, pct
from autonl_core.report.table import Table


def seconds(facts: Facts) -> Table:
    """Time by phase."""
    by_phase = facts.run.seconds_by_phase
    rows = [(phase, duration(value), pct(100 * value / sum(by_phase.values()))) for phase, value in by_phase.items()]
    return Table(("phase", "time", "share"), (*rows, ("total", duration(sum(by_phase.values())), "")))


def settings(facts: Facts) -> Table:
    """The configuration with what its defaults became, then machine and versions."""
    rows = [(name, _shown(facts.run, name, value)) for name, value in _flat(facts.run.config)]
    measured_on = {**facts.run.machine, **facts.run.environment}
    rows += [(name, _plain(value)) for name, value in measured_on.items()]
    return Table(("setting", "value"), tuple(rows), (0, 1))


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings by name; those of a section with its name before them."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def _shown(run: RunFacts, name: str, value: object) -> str:
    if value is not None:
        return _plain(value)
    used = run.used.get(name)
    return "none" if used is None else f"{_plain(used)} (default)"


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
