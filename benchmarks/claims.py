"""What a claim costs with a short queue and with a long one, for a worker on the CPU and for one on a GPU.

    python -m benchmarks.claims [--queued 10000] [--claims 40]

Method: SQLite and PostgreSQL in turn; of the queued searches of one tenant 19 of 20 are for GPUs, the others for any
worker, and 20 tenants have none. Each claim is taken back at once, so that the queue stays as long. The table has the
least and the median elapsed time of a claim, and the median CPU time of this process; PostgreSQL's own is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, select, text

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import ResourceClass
from benchmarks.api_reads import databases
from benchmarks.harness import say
from benchmarks.machine import describe
from benchmarks.many_searches import CONFIG
from store.migrate import upgrade
from store.models import Search
from store.settings import Settings
from store.stores import Stores, open_stores
from store.turns import SERVED_BY_GPU, SERVED_WITHOUT_GPU

TENANTS = 20
OF_ANY_CLASS = 20  # one search in so many
WORKERS: dict[str, Sequence[ResourceClass]] = {"CPU": SERVED_WITHOUT_GPU, "GPU": SERVED_BY_GPU}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--claims", type=int, default=40)
    options = parser.parse_args()
    say(json.dumps(describe()))
    say("| database | queued | worker | least ms | median ms | CPU ms |\n| --- | --- | --- | --- | --- | --- |")
    with databases() as each, tempfile.TemporaryDirectory(prefix="autonl-claims-") as folder:
        for name, url in each:
            settings = Settings(database_url=url, data_dir=Path(folder))
            upgrade(settings.resolved_database_url)
            stores = open_stores(settings)
            for number in range(TENANTS):
                stores.tenants.create(f"tenant-{number}")
            queued = OF_ANY_CLASS
            fill(stores, 0, queued)
            _report(name, stores, queued, options.claims)
            fill(stores, queued, options.queued)
            _report(name, stores, options.queued, options.claims)
            stores.close()
    return 0


def fill(stores: Stores, first: int, end: int) -> None:
    """Queue searches, so that there are `end`."""
    one = stores.searches.create(CONFIG, DIGITS)[0].id
    with stores.database.session_scope() as session:
        row = dict(session.execute(select(Search.__table__).where(Search.id == one)).mappings().one())
        copies = [
            row
            | {
                "id": f"{number:016x}",
                "created_at": row["created_at"] + timedelta(seconds=number),
                "resource_class": "gpu" if number % OF_ANY_CLASS else "any",
            }
            for number in range(first, end - 1)
        ]
        session.execute(insert(Search), copies)
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("ANALYZE searches"))


def _report(name: str, stores: Stores, queued: int, claims: int) -> None:
    for worker, served in WORKERS.items():
        elapsed_s, cpu_s = [], []
        for _ in range(claims):
            began, cpu_began = time.perf_counter(), time.process_time()
            lease = stores.claims.claim("benchmark", served)
            elapsed_s.append(time.perf_counter() - began)
            cpu_s.append(time.process_time() - cpu_began)
            assert lease is not None
            stores.claims.gave_back(lease)
        figures = min(elapsed_s), statistics.median(elapsed_s), statistics.median(cpu_s)
        shown = " | ".join(f"{1000 * value:.2f}" for value in figures)
        say(f"| {name} | {queued:,} | {worker} | {shown} |")


if __name__ == "__main__":
    raise SystemExit(main())
