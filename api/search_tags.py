"""Entity tags of searches: the version of the row, and of what is shown beside it.

`"7-5f2b61c0"` is version 7, as this version of the service shows it. A search with several budgets has the versions of
all of them (`"7.31-..."`), one that is queued its place (`"7~9f3a61-..."`). `If-Match` compares the version of the row
only: that another search was claimed is no change of this one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from functools import lru_cache
from importlib import metadata

from api.schemas.searches import SearchView
from store.queue_places import QueuePlace
from store.settings import Settings
from store.shown_searches import ShownVersion

_TAG = re.compile(r'(?:W/)?"([0-9]{1,18})(?:\.[0-9]+)?(?:~[0-9a-f]+)?-[0-9a-f]{8}"')


def search_tag(version: ShownVersion, place: QueuePlace | None, settings: Settings) -> str:
    """The strong entity tag of a search."""
    family = f".{version.family}" if version.family else ""
    queue = f"~{_short(place)}" if place is not None else ""
    return f'"{version.version}{family}{queue}-{_form(settings.supernet_keep_s)}"'


def versions_in(if_match: str) -> Collection[int] | None:
    """The versions of a row that the header `If-Match` lists; None: it takes any."""
    tags = [tag.strip() for tag in if_match.split(",")]
    if "*" in tags:
        return None
    return {int(match[1]) for tag in tags if (match := _TAG.fullmatch(tag))}


@lru_cache(maxsize=1)
def _form(supernet_keep_s: float) -> str:
    """Changes whenever a later version, or another setting, shows the same row differently."""
    return _short([metadata.version("autonl"), SearchView.model_json_schema(), supernet_keep_s])


def _short(content: object) -> str:
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:8]
