"""Readiness of this host: can it reach a migrated database, the broker and the bucket, if there is one?

`python -m store.readiness` exits with code 0 if it can; otherwise it prints each problem and exits with code 1.
"""

from __future__ import annotations

import sys

from store.db import UNAVAILABLE, Database
from store.errors import ArtifactError, BrokerUnreachable, BucketUnavailable, SchemaOutdated
from store.file_places import bucket_of
from store.migrate import check_schema
from store.queue import check_broker
from store.settings import Settings

_BROKER_TIMEOUT_S = 5


def readiness_problems(settings: Settings) -> list[str]:
    """Why this host is not ready, one sentence per problem; empty if it is."""
    problems = []
    database = Database(settings.resolved_database_url)
    try:
        check_schema(database)
    except UNAVAILABLE as error:
        problems.append(f"the database does not respond: {error}")
    except SchemaOutdated as error:
        problems.append(str(error))
    finally:
        database.close()
    try:
        check_broker(settings.broker_url, timeout_s=_BROKER_TIMEOUT_S)
    except BrokerUnreachable as error:
        problems.append(str(error))
    if (problem := _bucket_problem(settings)) is not None:
        problems.append(problem)
    return problems


def _bucket_problem(settings: Settings) -> str | None:
    try:
        if (bucket := bucket_of(settings)) is not None:
            bucket.require_conditional_puts()
    except (ArtifactError, BucketUnavailable) as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit("\n".join(readiness_problems(Settings())) or 0)
