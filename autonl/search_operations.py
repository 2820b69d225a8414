"""What a client can do with searches, each thing once: the methods of `Client` and `AsyncClient` are such functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from autonl import documents
from autonl.errors import AutonlError
from autonl.event_stream import follow_events
from autonl.input_operations import OnBytes
from autonl.models.comparisons import Comparison
from autonl.models.reading import read
from autonl.models.searches import Event, Plan, Search, SearchSummary
from autonl.retries import patiently
from autonl.steps import Call, Iteration, Show
from autonl.waiting import PATIENCE_S, wait_for_next_look

_PAGE_SIZE = 200


def start_search(dataset: str, flops_budget: int | str | None = None, **fields: Any) -> Call[Search]:
    """Start a search.

    Args:
        dataset: name of a dataset that is ready.
        flops_budget: most MACs per image, an integer or text such as "40M"; None: `flops_budgets` has several.
        fields: any other field of the request, such as `seed=1` or `train={"epochs": 8}`.
    Raises:
        Refused: every field that is wrong is in `errors`.
    """
    return read(Search, (yield from documents.start_search(_config(dataset, flops_budget, fields))))


def validate_search(dataset: str, flops_budget: int | str | None = None, **fields: Any) -> Call[Plan]:
    """What a search would be, without starting it. Arguments and errors are those of `start_search`."""
    return read(Plan, (yield from documents.validate_search(_config(dataset, flops_budget, fields))))


def search(search_id: str) -> Call[Search]:
    """A search in its current state."""
    return read(Search, (yield from documents.search(search_id)))


def searches(
    state: str | None = None, dataset: str | None = None, label: str | None = None
) -> Iteration[SearchSummary]:
    """Iterate over the searches that match, newest first, of a label such as `team:x`, page by page."""
    token: str | None = None
    while True:
        filters: dict[str, str | int | None] = {"state": state, "dataset": dataset, "label": label}
        page = yield from documents.searches(**filters, page_size=_PAGE_SIZE, page_token=token)
        for one in page["searches"]:
            yield Show(read(SearchSummary, one))
        if (token := page["next_page_token"]) is None:
            return


def wait(
    search_id: str, on_progress: Callable[[Search], None] = lambda search: None, *, timeout_s: float | None = None
) -> Call[Search]:
    """Wait until a search has ended or is paused; returns it in that state, which may be `failed`.

    Goes on while the service restarts. `on_progress` is called with the search whenever it has changed.

    Raises:
        Refused: there is no such search.
        WaitTimeout: it has not ended within `timeout_s`. The search goes on.
        ConnectionFailed: the service does not respond for a minute.
    """
    began, etag, current = time.monotonic(), None, None
    while True:
        document, etag, poll_s = yield from patiently(partial(documents.search_unless, search_id, etag), PATIENCE_S)
        if document is not None:
            current = read(Search, document)
            on_progress(current)
        assert current is not None  # only what has been sent before is not sent again
        if current.resting:
            return current
        yield from wait_for_next_look(began, timeout_s, poll_s, f"Search {search_id} is {current.state}")


def events(search_id: str, after: int = 0) -> Iteration[Event]:
    """Iterate over the events of a search until its last one, each once, across interrupted connections.

    Raises Refused if there is no such search, and ConnectionFailed if the service stays away.

    Args:
        after: the last number that was already received.
    """
    return follow_events(search_id, after, partial(read, Event))


def cancel(search_id: str) -> Call[Search]:
    """Ask a search to stop. It keeps the best network it found."""
    return read(Search, (yield from documents.cancel(search_id)))


def pause(search_id: str) -> Call[Search]:
    """Ask a search to save its state and free its worker until it is resumed."""
    return read(Search, (yield from documents.pause(search_id)))


def resume(search_id: str, max_compute_s: float | None = None) -> Call[Search]:
    """Continue a paused, failed or cancelled search.

    Args:
        max_compute_s: CPU seconds that it may use from now on, over all attempts; None: as before.
    """
    return read(Search, (yield from documents.resume(search_id, max_compute_s)))


def change_labels(search_id: str, labels: Mapping[str, str | None]) -> Call[Search]:
    """Set these labels of a search; None removes one, and others stay."""
    return read(Search, (yield from documents.change_labels(search_id, labels)))


def compare(*search_ids: str) -> Call[Comparison]:
    """Two to five searches side by side: settings that differ, figures, and how sure a difference of accuracy is."""
    return read(Comparison, (yield from documents.comparison(search_ids)))


def usage(first: str | None = None, last: str | None = None) -> Call[documents.Document]:
    """What the tenant used by day, uses now, and may use: the JSON object of GET /usage.

    Args:
        first, last: days in UTC, as in "2026-01-31"; None: the last 30 days.
    """
    return documents.usage(first, last)


def delete_search(search_id: str) -> Call[None]:
    """Delete a search that has ended, and its files."""
    return documents.delete_search(search_id)


def download(
    search_id: str,
    file_format: str = "safetensors",
    target: Path | str | None = None,
    on_progress: OnBytes = lambda received, total: None,
) -> Call[Path]:
    """Download the network of a search, verified by its SHA-256; an interrupted download is continued.

    Args:
        file_format: such as `onnx` or `bundle`; the `files` of the result name them.
        target: file to write; None: in the current folder, named by the service.
        on_progress: called with the bytes received so far and their total.
    Raises:
        Refused: there is no such file (yet); the detail says why.
        DownloadFailed: the received bytes differ from what was announced.
        ConnectionFailed: the service stays away; the bytes received so far are kept.
    """
    document = yield from documents.search(search_id)
    if (link := document["links"].get("checkpoint")) is None:
        reason = (document["error"] or {}).get("detail") or "there is one once the search has succeeded or is paused"
        raise AutonlError(f"Search {search_id} is {document['state']} and has no checkpoint", [reason])
    from autonl.download import download_file  # what hashes and locks files, and no other request needs

    path, _ = yield from download_file(f"{link}&format={file_format}", target, on_progress)
    return path


def _config(dataset: str, flops_budget: int | str | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"dataset": dataset, **({} if flops_budget is None else {"flops_budget": flops_budget}), **fields}
