"""Labels of a search, and changing them: those of its row, which GET shows, and the rows by which it is found."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from sqlalchemy import delete

from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.labels import MAX_LABELS
from store import events
from store.db import Database, now
from store.errors import TooManyLabels
from store.models import Search, SearchLabel
from store.unchanged import lock_search


def label_rows(search: Search, labels: Mapping[str, str]) -> Iterator[SearchLabel]:
    """The rows by which a stored search is found by these labels."""
    of_search = {"search_id": search.id, "tenant_id": search.tenant_id, "created_at": search.created_at}
    return (SearchLabel(key=key, value=value, **of_search) for key, value in labels.items())


class LabelStore:
    """Labels of searches in any state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(
        self, search_id: str, changes: Mapping[str, str | None], versions: Collection[int] | None = None
    ) -> None:
        """Set the labels in `changes`, and remove those whose value there is None; others stay.

        Args:
            versions: one of them must be the version of the search; None: any.

        Raises:
            NotFound: no such search.
            SearchChanged: it has another version.
            TooManyLabels: it would have more than MAX_LABELS.
        """
        with self._database.session_scope() as session:
            search = lock_search(session, search_id, versions)
            merged = {**search.labels, **changes}
            labels = {key: value for key, value in merged.items() if value is not None}
            if len(labels) > MAX_LABELS:
                raise TooManyLabels(
                    f"search {search_id} would have {len(labels)} labels, and at most {MAX_LABELS} are possible; "
                    "remove one with null"
                )
            if labels == search.labels:
                return
            own = SearchLabel.search_id == search_id, SearchLabel.key.in_(changes)
            session.execute(delete(SearchLabel).where(*own).execution_options(synchronize_session=False))
            session.add_all(label_rows(search, {key: labels[key] for key in changes if key in labels}))
            search.labels = labels
            events.append(session, search, EventKind.LABELS_CHANGED, now(session), {"labels": labels})
