"""Open every image once, at a small size: whether it is readable, what is unusual about it, and its descriptor.

The images are opened by one process per core. What is found takes about 350 bytes per image, so that hundreds of
thousands fit into memory, and does not depend on the number of processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from autonl_core.data.listing import list_files
from autonl_core.dataset_check.inspect_worker import DIGEST_BYTES, SIDE, Records
from autonl_core.dataset_check.inspectors import Inspectors, inspector_count
from autonl_core.dataset_check.saved_rows import SavedRows, saved_key
from autonl_core.datasets.limits import Limits

FREQUENCIES = 8  # kept in each direction: finer detail does not survive resizing
DESCRIPTOR_DIM = FREQUENCIES**2 - 1  # all frequencies but the mean
COLOUR_SIDE = 4
PORTION = 256  # images opened by one process and saved together
_FAINT = 4.0  # grey levels of contrast below which an image is considered flat, so that its noise is not compared
_ROW = np.dtype(
    [
        ("digest", np.uint8, DIGEST_BYTES),
        ("format", "S8"),
        ("traits", np.uint8),
        ("size", np.int32, 2),
        ("descriptor", np.float32, DESCRIPTOR_DIM),
        ("mean", np.float32),
        ("colour", np.uint8, (2, COLOUR_SIDE, COLOUR_SIDE)),
    ]
)


@dataclass(frozen=True)
class Images:
    """The images to open: their names in a data source, and a fingerprint of the content of the source."""

    kind: str  # of the source
    path: Path  # of the source
    names: Sequence[str]
    content: str


@dataclass
class Inspected:
    """One row per image, in the order of `names`; rows of unreadable images are zero, except in `digests`."""

    names: Sequence[str]
    digests: list[bytes] = field(init=False)  # of the files' bytes
    problems: dict[int, str] = field(default_factory=dict)  # why an image cannot be read, in the order of rows
    traits: NDArray[np.uint8] = field(init=False)  # (N,) of ImageTrait
    sizes: NDArray[np.int32] = field(init=False)  # (N, 2) width and height
    descriptors: NDArray[np.float32] = field(init=False)  # (N, DESCRIPTOR_DIM) low frequencies of normalised luminance
    means: NDArray[np.float32] = field(init=False)  # (N,) luminance, 0 to 255
    colours: NDArray[np.uint8] = field(init=False)  # (N, 2, COLOUR_SIDE, COLOUR_SIDE) chrominance
    formats: Counter[str] = field(default_factory=Counter)  # number of images

    def __post_init__(self) -> None:
        count = len(self.names)
        self.digests = [b""] * count
        self.traits = np.zeros(count, np.uint8)
        self.sizes = np.zeros((count, 2), np.int32)
        self.descriptors = np.zeros((count, DESCRIPTOR_DIM), np.float32)
        self.means = np.zeros(count, np.float32)
        self.colours = np.zeros((count, 2, COLOUR_SIDE, COLOUR_SIDE), np.uint8)

    @property
    def readable(self) -> NDArray[np.int64]:
        """Rows of readable images."""
        good = np.ones(len(self.names), bool)
        good[list(self.problems)] = False
        return np.flatnonzero(good)

    def put(self, start: int, rows: NDArray[Any], problems: dict[int, str]) -> None:
        """Take over what was found in a portion."""
        part = slice(start, start + len(rows))
        self.digests[part] = [digest.tobytes() for digest in rows["digest"]]
        self.traits[part], self.sizes[part] = rows["traits"], rows["size"]
        self.descriptors[part], self.means[part], self.colours[part] = rows["descriptor"], rows["mean"], rows["colour"]
        self.problems.update({start + position: problem for position, problem in problems.items()})
        self.formats.update(name.decode() for name in rows["format"].tolist() if name)


def inspect(
    images: Images,
    limits: Limits,
    work_dir: Path,
    *,
    saved_dir: Path | None = None,
    count: int | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Inspected:
    """Open all `images` in `count` processes, by default one per core.

    Args:
        work_dir: an existing folder for files that the processes need.
        saved_dir: where what was found is saved; what an earlier attempt saved there is not opened again.
    """
    found = Inspected(images.names)
    saved = None if saved_dir is None else SavedRows(saved_dir, saved_key(images.content, images.names, limits), _ROW)
    done, missing = 0, []
    for start in range(0, len(images.names), PORTION):
        size = min(PORTION, len(images.names) - start)
        if saved is not None and (loaded := saved.load(start, size)) is not None:
            found.put(start, *loaded)
            done += size
        else:
            missing.append(np.arange(start, start + size))
    for start, rows, problems in _opened(images, limits, work_dir, missing, count or inspector_count()):
        if saved is not None:
            saved.save(start, rows, problems)
        found.put(start, rows, problems)
        done += len(rows)
        on_progress(done / len(images.names))
    found.problems = dict(sorted(found.problems.items()))
    return found


def _opened(
    images: Images, limits: Limits, work_dir: Path, portions: Sequence[NDArray[np.int64]], count: int
) -> Iterator[tuple[int, NDArray[Any], dict[int, str]]]:
    """The first row of each portion, its rows, and the problems by position, in any order of portions."""
    if not portions:
        return
    inspectors = Inspectors(min(count, len(portions)))  # first, because they take a while to start
    inspectors.begin(work_dir, list_files(images.kind, images.path, images.names, limits), limits)
    for portion in inspectors.inspect(portions):
        yield int(portion.rows[0]), _rows(portion.records), portion.problems


def _rows(records: Records) -> NDArray[Any]:
    """Compute descriptors, means and colours from thumbnails."""
    rows, thumbs = np.zeros(len(records), _ROW), records["thumb"].transpose(0, 3, 1, 2)
    for name in ("digest", "format", "traits", "size"):
        rows[name] = records[name]
    waves = dctn(thumbs[:, 0].astype(np.float32), axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    waves = waves.reshape(len(thumbs), -1)  # (B, FREQUENCIES ** 2)
    contrast = np.sqrt(np.square(waves[:, 1:]).sum(axis=1, keepdims=True))
    rows["descriptor"] = waves[:, 1:] / np.maximum(contrast, _FAINT * SIDE)
    rows["mean"] = waves[:, 0] / SIDE
    blocks = thumbs[:, 1:].reshape(len(thumbs), 2, COLOUR_SIDE, SIDE // COLOUR_SIDE, COLOUR_SIDE, SIDE // COLOUR_SIDE)
    rows["colour"] = np.round(blocks.mean(axis=(3, 5)))
    return rows
