"""What `validate_only` says that a search will take, against what it took.

    python -m benchmarks.estimates [--only digits]

Method: `autonl up` runs on an empty data folder, and the searches below run one after the other. Before each, the
estimate is asked for, by the searches of its kind so far; then it runs, and what the service counted is compared: CPU
seconds of the search process and of all that it started. Other load on the machine changes them less than the seconds
elapsed, from start to end, which are beside them. At the end, each search is also estimated by all others of its kind,
and by each of them as if there were no other. What an estimate predicts is the geometric mean of its ends. The
benchmark fails if all others together, or those before, are off by more than 1.5 times.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autonl import Client
from autonl.models.searches import Search
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.nn.kernels.__main__ import compile_all
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.search_work import kind_of, search_work
from benchmarks.harness import RESULTS, say
from benchmarks.machine import describe
from benchmarks.starts_and_idle import running_service
from store.compute_estimates import ComputeEstimate, Took, estimate_from
from store.settings import Settings
from store.stores import open_stores

MOST_OFF = 1.5  # times
PHOTOS = Path(__file__).parents[1] / "examples" / "clothing.zip"
_DIGITS: Mapping[str, Any] = {"dataset": "digits", "flops_budget": "450k"}
_PHOTOS: Mapping[str, Any] = {
    "dataset": "clothing",
    "flops_budget": "48M",
    "resolution": 96,
    "teacher": {"epochs": 6, "resolution": 96},
    "supernet": {"epochs": 1, "candidates": 6, "generations": 0, "finalists": 1},
}
SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "digits, short": {**_DIGITS, "supernet": {"epochs": 1}, "train": {"epochs": 5}},
    "digits, whole": {**_DIGITS, "supernet": {"epochs": 2}},
    "digits, half the MACs": {**_DIGITS, "flops_budget": "230k", "supernet": {"epochs": 2}, "train": {"epochs": 40}},
    "photos, few epochs": {**_PHOTOS, "train": {"epochs": 11}},
    "photos, fewer epochs": {**_PHOTOS, "teacher": {"epochs": 2, "resolution": 96}, "train": {"epochs": 2}},
    "photos, half the MACs": {
        **_PHOTOS,
        "flops_budget": "24M",
        "resolution": 64,
        "teacher": {"epochs": 6, "resolution": 64},
        "train": {"epochs": 22},
    },
}


@dataclass(frozen=True)
class Ran:
    """A search: its kind, its image-MACs, what was predicted before it in CPU seconds, and what it took."""

    name: str
    kind: str
    work: float
    low_s: float | None
    high_s: float | None
    cpu_s: float
    elapsed_s: float

    @property
    def took(self) -> Took:
        return Took(self.cpu_s, self.work)


def run_all(names: Sequence[str], folder: Path) -> Iterator[Ran]:
    """Run searches on an empty service in `folder`, one after the other."""
    with running_service(folder) as (_, url), Client(url) as client:
        if any(SEARCHES[name]["dataset"] == "clothing" for name in names):
            client.upload_dataset("clothing", PHOTOS)
            client.wait_for_dataset("clothing")
        for name in names:
            plan = client.validate_search(**SEARCHES[name])
            search = client.wait(client.start_search(**SEARCHES[name]).id)
            if search.state != "succeeded":
                raise RuntimeError(f"{name}: the search is {search.state}: {search.error}")
            known = plan.estimated_compute_s
            yield _ran(name, (known.low, known.high) if known else (None, None), search, folder)


def _ran(name: str, predicted: tuple[float | None, float | None], search: Search, folder: Path) -> Ran:
    stores = open_stores(Settings(data_dir=folder))
    try:
        row = stores.searches.get(search.id)
    finally:
        stores.close()
    assert search.started_at is not None
    assert search.finished_at is not None
    config, dataset = SearchConfig.stored(row.config), DatasetSpec.from_json(row.dataset_spec)
    cpu_s = sum(attempt.compute_s for attempt in search.attempts)
    elapsed_s = (search.finished_at - search.started_at).total_seconds()
    return Ran(name, str(kind_of(config, dataset)), search_work(config, dataset), *predicted, cpu_s, elapsed_s)


def by_others(ran: Sequence[Ran], one: Ran) -> ComputeEstimate | None:
    """What all other searches of its kind say that `one` takes; None if there is no other."""
    others = [other.took for other in ran if other is not one and other.kind == one.kind]
    return estimate_from(others, one.work, 1) if others else None


def by_each(ran: Sequence[Ran], one: Ran) -> list[float]:
    """How many times every other search of its kind, as the only one, is off."""
    others = [other.took for other in ran if other is not one and other.kind == one.kind]
    return [off(estimate_from([other], one.work, 1), one.cpu_s) for other in others]


def off(estimate: ComputeEstimate, cpu_s: float) -> float:
    """How many times too high or too low what the estimate predicts is, 1 or more."""
    ratio = math.sqrt(estimate.low * estimate.high) / cpu_s
    return max(ratio, 1 / ratio)


def compare(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    """What is stored of each search; None where there was nothing to compare with."""
    rows = []
    for one in ran:
        others, each = by_others(ran, one), by_each(ran, one)
        row: dict[str, Any] = asdict(one) | {"off": None, "off_by_others": None, "off_by_each": None}
        if one.low_s is not None and one.high_s is not None:
            row["off"] = off(ComputeEstimate(one.low_s, one.high_s, 1), one.cpu_s)
        if others is not None:
            row |= {"off_by_others": off(others, one.cpu_s), "off_by_each": max(each)}
        rows.append(row)
    return rows


def line(row: Mapping[str, Any]) -> str:
    """One search, for people."""
    before = "nothing known" if row["low_s"] is None else f"{row['low_s']:.0f} to {row['high_s']:.0f} CPU s predicted"
    times = {"before": row["off"], "by all others": row["off_by_others"], "by each, at most": row["off_by_each"]}
    offs = ", ".join(f"{name} {value:.2f}" for name, value in times.items() if value is not None)
    measured = f"{row['cpu_s']:.0f} measured, {row['elapsed_s']:.0f} s elapsed"
    return f"{row['name']:<26}{before}, {measured}; times off: {offs or 'not known'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="beginning of the names of the searches to run")
    options = parser.parse_args()
    compile_all()  # no search should wait for that
    ran: list[Ran] = []
    with tempfile.TemporaryDirectory(prefix="autonl-estimates-") as scratch:
        for one in run_all([name for name in SEARCHES if name.startswith(options.only)], Path(scratch)):
            ran.append(one)
            say(f"{one.name}: {one.cpu_s:.1f} CPU s")
    rows = compare(ran)
    for row in rows:
        say(line(row))
    if not options.only:
        content = {"machine": describe(), "searches": rows}
        (RESULTS / "estimates.json").write_text(json.dumps(content, indent=2) + "\n")
    worst = max((row[kind] for row in rows for kind in ("off", "off_by_others") if row[kind] is not None), default=1.0)
    if worst > MOST_OFF:
        say(f"an estimate is off by {worst:.2f} times, more than {MOST_OFF:g}")
    return 1 if worst > MOST_OFF else 0


if __name__ == "__main__":
    sys.exit(main())
