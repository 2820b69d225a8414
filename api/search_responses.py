"""The response that shows a search, from rows read in one transaction; and 304 for those who have it already.

What a version of a row looks like never changes, so it is kept for those who ask for it next.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from fastapi import Response

from api import problems
from api.dependencies import matches
from api.problems import ProblemError
from api.schemas.searches import SearchView, SupernetView
from api.search_tags import search_tag
from store.queue_places import QueuePlace
from store.shown_searches import ShownSearch
from store.states import SearchState
from store.stores import Stores

POLL_S = 2  # how often to poll a search that is not final
_KEPT = 512  # of some kilobytes each


class KeptBodies:
    """Bodies of responses by the id and the tag of a search: the newest ones. For any number of threads."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, search_id: str, tag: str) -> bytes | None:
        with self._lock:
            return self._bodies.get((search_id, tag))

    def put(self, search_id: str, tag: str, body: bytes) -> None:
        with self._lock:
            self._bodies[search_id, tag] = body
            if len(self._bodies) > _KEPT:
                self._bodies.popitem(last=False)


class SearchResponses:
    """Searches in `stores` as they are shown; these say first what there is, then a kept body may be sent."""

    def __init__(self, stores: Stores, kept: KeptBodies) -> None:
        self._stores = stores
        self._kept = kept

    def get(self, search_id: str, if_none_match: str | None) -> Response:
        """200, or 304 if the client has the current version already. Raises NotFound."""
        version = self._stores.searches.version(search_id)
        place = self._place(search_id, version.state)
        tag = search_tag(version, place, self._stores.settings)
        if if_none_match is not None and matches(tag, if_none_match):
            return Response(status_code=304, headers=_headers(tag, version.state))
        content = self._kept.get(search_id, tag)
        return self.show(search_id) if content is None else _response(content, tag, version.state)

    def show(self, search_id: str, status: int = 200) -> Response:
        """The search as it is now. Raises NotFound."""
        shown = self._stores.searches.shown(search_id)
        place = self._place(search_id, shown.search.state)
        tag = search_tag(shown.version, place, self._stores.settings)
        content = self._view(shown, place).model_dump_json().encode()
        self._kept.put(search_id, tag, content)
        return _response(content, tag, shown.search.state, status)

    def changed(self, search_id: str) -> ProblemError:
        """Why a write with If-Match was refused: the search has another version. Raises NotFound."""
        version = self._stores.searches.version(search_id)
        tag = search_tag(version, self._place(search_id, version.state), self._stores.settings)
        detail = f"the search is now {tag}, which If-Match does not list; GET it again"
        return ProblemError(problems.PRECONDITION_FAILED, detail)

    def _place(self, search_id: str, state: SearchState) -> QueuePlace | None:
        if state != SearchState.QUEUED:
            return None
        return self._stores.queue.recent_places([search_id]).get(search_id)

    def _view(self, shown: ShownSearch, place: QueuePlace | None) -> SearchView:
        supernet = None
        if shown.supernet is not None:
            kept_until = self._stores.supernets.kept_until(shown.search)
            supernet = SupernetView(size_bytes=shown.supernet.size_bytes, kept_until=kept_until)
        return SearchView.from_row(
            shown.search, shown.attempts, shown.best, shown.is_downloadable, supernet, shown.family, place
        )


def _headers(tag: str, state: SearchState) -> dict[str, str]:
    return {"ETag": tag} if state.final else {"ETag": tag, "Retry-After": str(POLL_S)}


def _response(content: bytes, tag: str, state: SearchState, status: int = 200) -> Response:
    return Response(content, status, _headers(tag, state), media_type="application/json")
