"""The requests of the API, one function each. What the service sends stays a JSON object, as the API documents it.

The typed calls of `autonl/search_operations.py` and its like and the commands of `cli/` are made of these.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autonl.errors import Refused, UnexpectedResponse
from autonl.retries import retry_after_s
from autonl.steps import KEY_HEADER, READ_S, Call, Params, Reply, Request, Upload, send

Document = dict[str, Any]

ARCHIVE_TYPE = "application/zip"
WEIGHTS_TYPE = "application/octet-stream"
JSON_TYPE = "application/json"
_UPLOAD_S = 600.0  # the service makes gigabytes durable before it answers


def require_ok(reply: Reply) -> Reply:
    """The reply. Raises Refused if the service did not do what was asked."""
    if not reply.ok:
        raise Refused(reply.url, reply.status, reply.body, retry_after_s(reply))
    return reply


def parsed(reply: Reply) -> Document:
    """The JSON object of a reply. Raises Refused and UnexpectedResponse."""
    try:
        content = json.loads(require_ok(reply).body)
    except ValueError as error:
        raise UnexpectedResponse(f"{reply.url} sent no JSON", [str(error), "is this the URL of a service?"]) from error
    if not isinstance(content, dict):
        raise UnexpectedResponse(f"{reply.url} sent a {type(content).__name__} instead of a JSON object")
    return content


def get(path: str, params: Params | None = None, *, timeout_s: float = READ_S) -> Call[Document]:
    return parsed((yield from send(Request("GET", path, params or {}, timeout_s=timeout_s))))


def write(method: str, path: str, body: Mapping[str, Any] | None = None) -> Call[Document]:
    """A request that changes something, with a key that makes it harmless to repeat."""
    headers = {KEY_HEADER: _new_key()} if method == "POST" else {}
    if body is None:
        return parsed((yield from send(Request(method, path, headers=headers))))
    content = json.dumps(body).encode()
    return parsed((yield from send(Request(method, path, headers=headers | {"Content-Type": JSON_TYPE}, body=content))))


def delete(path: str) -> Call[None]:
    """Delete a resource. That it is gone is an error only if the request that deleted it was not this one."""
    reply = yield from send(Request("DELETE", path))
    if not (reply.status == HTTPStatus.NOT_FOUND and reply.tries > 1):
        require_ok(reply)


def upload(path: str, params: Params, content: Upload, content_type: str) -> Call[Document]:
    headers = {"Content-Type": content_type, KEY_HEADER: _new_key()}
    return parsed((yield from send(Request("POST", path, params, headers, content, timeout_s=_UPLOAD_S))))


def _new_key() -> str:
    return os.urandom(16).hex()


# Searches -------------------------------------------------------------------------------------------------------------


def start_search(config: Mapping[str, Any]) -> Call[Document]:
    return write("POST", "/searches", config)


def validate_search(config: Mapping[str, Any]) -> Call[Document]:
    """Validate a search without starting it: a PlanView."""
    return write("POST", "/searches?validate_only=true", config)


def search(search_id: str) -> Call[Document]:
    return get(_of_search(search_id))


def search_unless(search_id: str, etag: str | None) -> Call[tuple[Document | None, str | None, float | None]]:
    """The search unless it is the version `etag` still, its version, and how many seconds to wait before the next."""
    headers = {"If-None-Match": etag} if etag else {}
    reply = yield from send(Request("GET", _of_search(search_id), headers=headers))
    document = None if reply.status == HTTPStatus.NOT_MODIFIED else parsed(reply)
    return document, reply.headers.get("etag"), retry_after_s(reply)


def searches(**filters: str | int | None) -> Call[Document]:
    return get("/searches", filters)


def cancel(search_id: str) -> Call[Document]:
    return write("POST", f"{_of_search(search_id)}/cancel")


def pause(search_id: str) -> Call[Document]:
    return write("POST", f"{_of_search(search_id)}/pause")


def change_labels(search_id: str, labels: Mapping[str, str | None]) -> Call[Document]:
    return write("PATCH", _of_search(search_id), {"labels": dict(labels)})


def resume(search_id: str, max_compute_s: float | None = None) -> Call[Document]:
    body = None if max_compute_s is None else {"max_compute_s": max_compute_s}
    return write("POST", f"{_of_search(search_id)}/resume", body)


def delete_search(search_id: str) -> Call[None]:
    return delete(_of_search(search_id))


def doubtful_labels(search_id: str) -> Call[Document]:
    return get(f"{_of_search(search_id)}/doubtful-labels")


def trade_off(search_id: str) -> Call[Document]:
    return get(f"{_of_search(search_id)}/trade-off")


def architecture_history(search_id: str) -> Call[Document]:
    return get(f"{_of_search(search_id)}/architecture-history")


def repeats(search_id: str) -> Call[Document]:
    return get(f"{_of_search(search_id)}/repeats")


def comparison(search_ids: Sequence[str]) -> Call[Document]:
    return get("/comparison", {"search_id": tuple(search_ids)})


def usage(first: str | None = None, last: str | None = None) -> Call[Document]:
    return get("/usage", {"from": first, "to": last})


def logs(search_id: str, attempt: int | None, tail: int) -> Call[Document]:
    return get(f"{_of_search(search_id)}/logs", {"attempt": attempt, "tail": tail})


def events(search_id: str, after: int = 0) -> Call[Document]:
    """All events after the given number, collected over as many pages as the service needs."""
    path = events_path(search_id)
    collected = yield from _events_after(path, after)
    while page := (yield from _events_after(path, collected["last_seq"]))["events"]:
        collected["events"] += page
        collected["last_seq"] = page[-1]["seq"]
    return collected


def _events_after(path: str, after: int) -> Call[Document]:
    return parsed((yield from send(Request("GET", path, {"after": after}, {"Accept": JSON_TYPE}))))


def events_path(search_id: str) -> str:
    return f"{_of_search(search_id)}/events"


def architecture(arch_id: str, search_id: str | None = None) -> Call[Document]:
    return get(f"/architectures/{quoted(arch_id)}", {"search_id": search_id})


# Datasets and weights -------------------------------------------------------------------------------------------------


def datasets() -> Call[Document]:
    """All of them: the pages of the service, one after the other."""
    page = yield from get("/datasets")
    listed = [*page["datasets"]]
    while (token := page.get("next_page_token")) is not None:
        page = yield from get("/datasets", {"page_token": token})
        listed += page["datasets"]
    return {"datasets": listed}


def dataset(name: str) -> Call[Document]:
    return get(f"/datasets/{quoted(name)}")


def register_dataset(name: str, path: str, **reading: str) -> Call[Document]:
    """Register a folder or archive on the service's own disk or in a bucket; `reading` says how its files are read."""
    return write("POST", "/datasets", {"name": name, "path": path, **reading})


def upload_dataset(name: str, archive: Path, on_sent: Callable[[int], None], **reading: str) -> Call[Document]:
    """Upload a zip archive; `on_sent` is called with the number of bytes sent so far."""
    return upload("/datasets", {"name": name, **reading}, Upload(archive, on_sent), ARCHIVE_TYPE)


def correct_dataset(source: str, name: str, leave_out: Sequence[str], relabel: Mapping[str, str]) -> Call[Document]:
    """Make the dataset `name` of another one, without some images or with other classes of some."""
    correction = {"name": name, "leave_out": [*leave_out], "relabel": {**relabel}}
    return write("POST", f"/datasets/{quoted(source)}/corrections", correction)


def read_dataset(name: str, **reading: str) -> Call[Document]:
    """Check an invalid dataset again, its files read in another way."""
    return write("PUT", f"/datasets/{quoted(name)}/reading", reading)


def delete_dataset(name: str) -> Call[None]:
    return delete(f"/datasets/{quoted(name)}")


def list_weights() -> Call[Document]:
    return get("/weights")


def weights(name: str) -> Call[Document]:
    return get(f"/weights/{quoted(name)}")


def upload_weights(
    name: str, file: Path, on_sent: Callable[[int], None], **stated: str | float | None
) -> Call[Document]:
    """Upload a file of weights with what is stated about it; `on_sent` gets the number of bytes sent so far."""
    return upload("/weights", {"name": name, **stated}, Upload(file, on_sent), WEIGHTS_TYPE)


def delete_weights(name: str) -> Call[None]:
    return delete(f"/weights/{quoted(name)}")


# Webhooks -------------------------------------------------------------------------------------------------------------


def add_webhook(url: str, kinds: Sequence[str], description: str) -> Call[Document]:
    """Add a webhook; no kinds: those of events that end a search. The response has its secret."""
    body = {"url": url, "description": description} | ({"kinds": list(kinds)} if kinds else {})
    return write("POST", "/webhooks", body)


def webhooks() -> Call[Document]:
    return get("/webhooks")


def webhook(webhook_id: str) -> Call[Document]:
    return get(_of_webhook(webhook_id))


def change_webhook(webhook_id: str, **changes: Any) -> Call[Document]:
    return write("PATCH", _of_webhook(webhook_id), changes)


def delete_webhook(webhook_id: str) -> Call[None]:
    return delete(_of_webhook(webhook_id))


def rotate_webhook(webhook_id: str) -> Call[Document]:
    return write("POST", f"{_of_webhook(webhook_id)}/rotate")


def test_webhook(webhook_id: str) -> Call[Document]:
    return write("POST", f"{_of_webhook(webhook_id)}/test")


def deliveries(webhook_id: str, **filters: str | int | None) -> Call[Document]:
    """A page of the log of deliveries, newest first."""
    return get(f"{_of_webhook(webhook_id)}/deliveries", filters)


def delivery(webhook_id: str, delivery_id: str) -> Call[Document]:
    return get(f"{_of_webhook(webhook_id)}/deliveries/{quoted(delivery_id)}")


def resend(webhook_id: str, delivery_id: str) -> Call[Document]:
    return write("POST", f"{_of_webhook(webhook_id)}/deliveries/{quoted(delivery_id)}/resend")


def health(timeout_s: float) -> Call[Document]:
    return get("/healthz", timeout_s=timeout_s)


def _of_search(search_id: str) -> str:
    return f"/searches/{quoted(search_id)}"


def _of_webhook(webhook_id: str) -> str:
    return f"/webhooks/{quoted(webhook_id)}"


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")
