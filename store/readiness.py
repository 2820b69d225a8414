"""`python -m store.readiness`: can this host work? Ends with 0 if the database is migrated and the broker answers."""

from __future__ import annotations

import sys

from store.db import UNAVAILABLE, Database
from store.errors import BrokerUnreachable, SchemaOutdated
from store.migrate import check_schema
from store.queue import check_broker
from store.settings import Settings


def problems(settings: Settings) -> list[str]:
    """What keeps this host from working, a sentence each; empty if nothing does."""
    found = []
    database = Database(settings.resolved_database_url)
    try:
        check_schema(database)
    except UNAVAILABLE as error:
        found.append(f"the database does not answer: {error}")
    except SchemaOutdated as error:
        found.append(str(error))
    finally:
        database.close()
    try:
        check_broker(settings.broker_url, timeout_s=5)
    except BrokerUnreachable as error:
        found.append(str(error))
    return found


if __name__ == "__main__":
    sys.exit("\n".join(problems(Settings())) or 0)
