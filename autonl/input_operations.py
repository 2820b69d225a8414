"""What a client can do with datasets and weight sets, each thing once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from autonl import documents
from autonl.documents import Document
from autonl.models.inputs import Dataset, Weights
from autonl.models.reading import read
from autonl.packing import pack
from autonl.retries import patiently
from autonl.steps import Call, work
from autonl.waiting import PATIENCE_S, POLL_S, wait_for_next_look

CheckedT = TypeVar("CheckedT", Dataset, Weights)
OnBytes = Callable[[int, int], None]  # (bytes so far, total bytes)


def upload_dataset(
    name: str,
    path: Path | str,
    *,
    layout: str | None = None,
    duplicates: str | None = None,
    on_progress: OnBytes = lambda sent, total: None,
) -> Call[Dataset]:
    """Upload a folder of class folders, or a zip archive of one. `wait_for_dataset` says when it can be used.

    A folder is packed first, into a temporary file; hidden files are left out.

    Args:
        layout: which folder names the class; None: recognised where it is unambiguous.
        duplicates: `leave-out` or `keep` training images that show the same picture as a test image.
        on_progress: called with the bytes sent so far and their total.
    Raises:
        PackingFailed: the folder is empty, or something in it cannot be read.
        Refused: the service does not take it.
    """
    given = {"layout": layout, "duplicates": duplicates}
    reading = {key: value for key, value in given.items() if value is not None}
    path = Path(path).expanduser()
    if not path.is_dir():
        return read(Dataset, (yield from _upload_archive(name, path, reading, on_progress)))
    with tempfile.TemporaryDirectory(prefix="autonl-") as scratch:
        packed = Path(scratch) / "packed.zip"
        yield from work(partial(pack, path, packed, lambda done, total: None))
        return read(Dataset, (yield from _upload_archive(name, packed, reading, on_progress)))


def dataset(name: str) -> Call[Dataset]:
    """A dataset, with the findings of its check."""
    return read(Dataset, (yield from documents.dataset(name)))


def datasets() -> Call[tuple[Dataset, ...]]:
    """All datasets, without the reports of their checks."""
    return tuple(read(Dataset, one) for one in (yield from documents.datasets())["datasets"])


def wait_for_dataset(
    name: str, on_progress: Callable[[Dataset], None] = lambda dataset: None, *, timeout_s: float | None = None
) -> Call[Dataset]:
    """Wait until a dataset is checked; returns it, `ready` or `invalid`, with the `findings` of the check.

    Raises:
        WaitTimeout: it is not checked within `timeout_s`.
    """
    return _wait_for_check(Dataset, partial(documents.dataset, name), on_progress, timeout_s)


def delete_dataset(name: str) -> Call[None]:
    """Delete a dataset."""
    return documents.delete_dataset(name)


def upload_weights(
    name: str,
    file: Path | str,
    *,
    arch: str | None = None,
    source: str | None = None,
    licence: str | None = None,
    on_progress: OnBytes = lambda sent, total: None,
) -> Call[Weights]:
    """Upload a file of weights. `wait_for_weights` says when networks can start from them.

    Args:
        arch: the architecture; needed unless the file or its shapes say it.
    """
    path = Path(file).expanduser()
    on_sent = partial(_report, on_progress, path.stat().st_size)
    sent = documents.upload_weights(name, path, on_sent, arch=arch, source=source, licence=licence)
    return read(Weights, (yield from sent))


def weights(name: str) -> Call[Weights]:
    """A weight set, with what its check found."""
    return read(Weights, (yield from documents.weights(name)))


def list_weights() -> Call[tuple[Weights, ...]]:
    """All weight sets, the built-in ones first."""
    return tuple(read(Weights, one) for one in (yield from documents.list_weights())["weights"])


def wait_for_weights(
    name: str, on_progress: Callable[[Weights], None] = lambda weights: None, *, timeout_s: float | None = None
) -> Call[Weights]:
    """Wait until weights are checked; returns them, `ready` or `refused`. Raises WaitTimeout."""
    return _wait_for_check(Weights, partial(documents.weights, name), on_progress, timeout_s)


def delete_weights(name: str) -> Call[None]:
    """Delete uploaded weights."""
    return documents.delete_weights(name)


def _upload_archive(name: str, archive: Path, reading: Mapping[str, str], on_progress: OnBytes) -> Call[Document]:
    on_sent = partial(_report, on_progress, archive.stat().st_size)
    return (yield from documents.upload_dataset(name, archive, on_sent, **reading))


def _report(on_progress: OnBytes, total_bytes: int, sent_bytes: int) -> None:
    on_progress(sent_bytes, total_bytes)


def _wait_for_check(
    kind: type[CheckedT],
    get: Callable[[], Call[Document]],
    on_progress: Callable[[CheckedT], None],
    timeout_s: float | None,
) -> Call[CheckedT]:
    began = time.monotonic()
    while True:
        checked = read(kind, (yield from patiently(get, PATIENCE_S)))
        on_progress(checked)
        if checked.state != "checking":
            return checked
        yield from wait_for_next_look(began, timeout_s, POLL_S, f"{checked.name} is {checked.state}")
