"""What the client does, as steps that know no HTTP library and no event loop.

Everything that a client can do is a generator that yields steps, gets the outcome of each, and returns the result: a
`Call`, or an `Iteration`. `autonl/client.py` performs the steps with blocking functions, `autonl/async_client.py` with
coroutines; neither decides anything. A step that fails raises its error at the place where it was yielded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, TypeVar

from autonl.errors import AutonlError

READ_S = 30.0  # for a response to begin, and between two of its parts
KEY_HEADER = "Idempotency-Key"
_REPEATABLE = ("GET", "HEAD", "PUT", "DELETE")

T = TypeVar("T")
ItemT_co = TypeVar("ItemT_co", covariant=True)
Params = Mapping[str, str | int | float | tuple[str, ...] | None]  # None: not sent; a tuple: repeated


@dataclass(frozen=True)
class Upload:
    """A file as the body of a request. `on_sent` is called with the number of bytes that were sent so far."""

    file: Path
    on_sent: Callable[[int], None]


@dataclass(frozen=True)
class Request:
    """A request below the URL of the service.

    Args:
        elsewhere: a URL that the service gave, of another server, which gets no login; instead of `path`.
    """

    method: str
    path: str
    params: Params = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Upload | None = None
    timeout_s: float = READ_S
    elsewhere: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does what sending it once does."""
        return self.method in _REPEATABLE or KEY_HEADER in self.headers


@dataclass(frozen=True)
class Reply:
    """A response, whatever its status. The body is empty if it is still to be read."""

    url: str
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    tries: int = 1  # how often the request was sent

    @property
    def ok(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True)
class Send:
    """Send a request and read the whole response: a Reply. Raises ConnectionFailed."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request: a Reply without its body, which `Read` reads. Ends what was opened before. As Send otherwise."""

    request: Request


@dataclass(frozen=True)
class Read:
    """The next bytes of the response that is open; empty at its end. Raises ConnectionFailed."""


@dataclass(frozen=True)
class Pause:
    """Do nothing for some time."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """What `function` returns, which blocks: it reads or writes files."""

    function: Callable[[], object]


@dataclass(frozen=True)
class Show(Generic[ItemT_co]):
    """Hand a value to the caller, who iterates."""

    value: ItemT_co


Action = Send | Open | Read | Pause | Work
Step = Action | Show[object]
Call = Generator[Action, Any, T]  # has a result
Iteration = Generator[Action | Show[T], Any, None]  # shows values of type T, one after the other
AnyCall = Generator[Step, Any, T]  # either


@dataclass(frozen=True)
class Done(Generic[T]):
    """The end of a call."""

    result: T


def advance(call: AnyCall[T], outcome: object = None, error: AutonlError | None = None) -> Step | Done[T]:
    """The next step of a call, after the last one had this outcome or failed with this error."""
    try:
        return call.throw(error) if error is not None else call.send(outcome)
    except StopIteration as end:
        return Done(end.value)


def send(request: Request) -> Call[Reply]:
    reply: Reply = yield Send(request)
    return reply


def open_response(request: Request) -> Call[Reply]:
    reply: Reply = yield Open(request)
    return reply


def read_block() -> Call[bytes]:
    block: bytes = yield Read()
    return block


def read_rest() -> Call[bytes]:
    """What is left of the response that is open."""
    blocks = []
    while block := (yield from read_block()):
        blocks.append(block)
    return b"".join(blocks)


def work(function: Callable[[], T]) -> Call[T]:
    result: T = yield Work(function)
    return result
