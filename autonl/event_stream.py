"""Server-sent events, as WHATWG HTML 9.2 describes them, and a call that follows them across connections."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

from autonl.documents import Document, events_path, require_ok
from autonl.errors import AutonlError
from autonl.retries import backoff_s, is_temporary
from autonl.steps import Iteration, Pause, Request, Show, T, open_response, read_block, read_rest

_SILENCE_S = 60.0  # the service says at least every 15 s that it is still there
_MAX_FAILURES = 8  # in a row, without a new event
_RECONNECT_S = 2.0  # unless the service says otherwise
_LINE_END = re.compile(r"\r\n|\n|\r(?!$)")  # a last \r may be half of \r\n


@dataclass(frozen=True)
class Message:
    """A server-sent event, or a change of how long to wait before the next connection."""

    data: str | None = None
    last_id: str | None = None
    retry_ms: int | None = None


class StreamParser:
    """Bytes of an event stream in, messages out, wherever the bytes were cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._data: list[str] = []
        self._last_id: str | None = None

    def feed(self, block: bytes) -> Iterator[Message]:
        *lines, self._rest = _LINE_END.split(self._rest + self._decoder.decode(block))
        for line in lines:
            yield from self._line(line)

    def _line(self, line: str) -> Iterator[Message]:
        if not line:
            if self._data:
                yield Message("\n".join(self._data), self._last_id)
            self._data = []
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            yield Message(retry_ms=int(value))


def follow_events(search_id: str, after: int, event_of: Callable[[Document], T]) -> Iteration[T]:
    """Shows the events of a search after the given number until its last one, each once and in order, by `event_of`.

    Connects again where a connection ended, after the last event that was received.

    Raises:
        Refused: there is no such search.
        ConnectionFailed: the service stays away.
    """
    last_id, failures, reconnect_s = str(after), 0, _RECONNECT_S
    while True:
        received, wait_s = False, reconnect_s
        try:
            reply = yield from open_response(_request(search_id, last_id))
            if reply.status == HTTPStatus.NO_CONTENT:
                return
            if not reply.ok:
                require_ok(replace(reply, body=(yield from read_rest())))
            parser = StreamParser()
            while block := (yield from read_block()):
                for message in parser.feed(block):
                    if message.retry_ms is not None:
                        reconnect_s = message.retry_ms / 1000
                    elif message.data is not None:
                        last_id, failures, received = message.last_id or last_id, 0, True
                        yield Show(event_of(json.loads(message.data)))
            wait_s = 0.0 if received else reconnect_s  # after the last event, the next response says that it was
        except AutonlError as error:
            failures += 1
            if not is_temporary(error) or failures >= _MAX_FAILURES:
                raise
            wait_s = max(reconnect_s, backoff_s(failures), getattr(error, "retry_after_s", None) or 0.0)
        yield Pause(wait_s)


def _request(search_id: str, last_id: str) -> Request:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last_id}
    return Request("GET", events_path(search_id), headers=headers, timeout_s=_SILENCE_S)
