"""Searches as people name them: ids shortened to what is unique in the service, and aliases of models."""

from __future__ import annotations

import re

from autonl.model_documents import split_alias
from cli.client import Client
from cli.errors import CommandError

LEAST_LETTERS = 4
_WHOLE = re.compile(r"[0-9a-f]{16}")
_PAGE_SIZE = 200
_SHOWN = 10


def full_id(client: Client, search_id: str) -> str:
    """The id that `search_id` is or begins, or that of the search that it stands for, if it is an alias as MODEL@ALIAS.

    A whole id is not looked up, nor what is too short to be one.

    Raises:
        ApiError: the service does not respond, or there is no such alias.
        CommandError: no search, or more than one, has an id that begins so.
    """
    if (alias := split_alias(search_id)) is not None:
        found_id: str = client.alias(*alias)["search_id"]
        return found_id
    if _WHOLE.fullmatch(search_id) or len(search_id) < LEAST_LETTERS:
        return search_id
    from cli.render import short_macs  # nor is what draws tables needed for a whole id

    found: dict[str, str] = {}
    token: str | None = ""
    while token is not None:
        page = client.searches(page_size=_PAGE_SIZE, page_token=token or None)
        for search in page["searches"]:
            if search["id"] == search_id:
                return search_id
            if search["id"].startswith(search_id):
                budget = short_macs(search["flops_budget"])
                found[search["id"]] = f"{search['id']}: {search['dataset']}, {budget}, {search['state']}"
        token = page["next_page_token"]
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise CommandError(f"No search has an id that begins with {search_id!r}", ["`autonl list` lists them"])
    listed = list(found.values())
    rest = [f"and {len(listed) - _SHOWN} more"] if len(listed) > _SHOWN else []
    raise CommandError(
        f"{search_id!r} begins the ids of {len(listed)} searches; give more of it", [*listed[:_SHOWN], *rest]
    )
