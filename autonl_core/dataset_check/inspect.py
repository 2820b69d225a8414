"""Open every image once, at a small size: whether it is readable, what is unusual about it, and its descriptor.

The images are opened by one process per core. What is found takes about 350 bytes per image, so that hundreds of
thousands fit into memory, and does not depend on the number of processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.grey_levels import common_range
from autonl_core.data.listing import list_files
from autonl_core.dataset_check.inspect_worker import DIGEST_BYTES, SIDE, ImageTrait, Records
from autonl_core.dataset_check.inspectors import Inspectors
from autonl_core.dataset_check.saved_rows import SavedRows, saved_key
from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import GreyRange

FREQUENCIES = 8  # kept in each direction: finer detail does not survive resizing
DESCRIPTOR_DIM = FREQUENCIES**2 - 1  # all frequencies but the mean
COLOUR_SIDE = 4
PORTION = 256  # images opened by one process and saved together
_FAINT = 4.0  # grey levels of contrast below which an image is considered flat, so that its noise is not compared
_WAVES = np.sqrt(2 / SIDE) * np.cos(np.pi / SIDE * np.outer(np.arange(FREQUENCIES), np.arange(SIDE) + 0.5))
_WAVES[0] /= np.sqrt(2)  # (FREQUENCIES, SIDE) of the orthonormal discrete cosine transform
_ROW = np.dtype(
    [
        ("digest", np.uint8, DIGEST_BYTES),
        ("length", np.int64),
        ("crc", np.uint32),
        ("format", "S8"),
        ("traits", np.uint8),
        ("size", np.int32, 2),
        ("range", np.float64, 2),
        ("contrast", np.float32),
        ("descriptor", np.float32, DESCRIPTOR_DIM),
        ("mean", np.float32),
        ("colour", np.uint8, (2, COLOUR_SIDE, COLOUR_SIDE)),
    ]
)


OnListed = Callable[[int, int], None]  # the number of images, and their bytes in all


@dataclass(frozen=True)
class Images:
    """The images to open: their names in a data source, and a fingerprint of the content of the source."""

    kind: str  # of the source
    path: Path  # of the source
    names: Sequence[str]
    content: str
    files: FileSource | None = None  # of the source, if it is open


@dataclass
class Inspected:
    """One row per image, in the order of `names`; rows of unreadable images are zero, except in `digests`."""

    names: Sequence[str]
    digests: list[bytes] = field(init=False)  # of the files' bytes
    lengths: NDArray[np.int64] = field(init=False)  # (N,) bytes of the files
    crcs: NDArray[np.uint32] = field(init=False)  # (N,) CRC-32 of these
    problems: dict[int, str] = field(default_factory=dict)  # why an image cannot be read, in the order of rows
    traits: NDArray[np.uint8] = field(init=False)  # (N,) of ImageTrait
    sizes: NDArray[np.int32] = field(init=False)  # (N, 2) width and height
    ranges: NDArray[np.float64] = field(init=False)  # (N, 2) low and high of deep images, 0 and 255 of others
    contrasts: NDArray[np.float32] = field(init=False)  # (N,) of thumbnails
    descriptors: NDArray[np.float32] = field(init=False)  # (N, DESCRIPTOR_DIM) low frequencies of normalised luminance
    means: NDArray[np.float32] = field(init=False)  # (N,) luminance, 0 to 255
    colours: NDArray[np.uint8] = field(init=False)  # (N, 2, COLOUR_SIDE, COLOUR_SIDE) chrominance
    formats: Counter[str] = field(default_factory=Counter)  # number of images

    def __post_init__(self) -> None:
        count = len(self.names)
        self.digests = [b""] * count
        self.lengths, self.crcs = np.zeros(count, np.int64), np.zeros(count, np.uint32)
        self.traits = np.zeros(count, np.uint8)
        self.sizes = np.zeros((count, 2), np.int32)
        self.ranges = np.zeros((count, 2), np.float64)
        self.contrasts = np.zeros(count, np.float32)
        self.descriptors = np.zeros((count, DESCRIPTOR_DIM), np.float32)
        self.means = np.zeros(count, np.float32)
        self.colours = np.zeros((count, 2, COLOUR_SIDE, COLOUR_SIDE), np.uint8)

    def content_marks(self) -> dict[str, str]:
        """Length and CRC-32 of every file that could be read, by name, as `MarksByStorage.content_mark` has them."""
        sums = zip(self.names, self.lengths.tolist(), self.crcs.tolist(), strict=True)
        return {name: f"{length}-{crc:08x}" for name, length, crc in sums if length}

    @property
    def readable(self) -> NDArray[np.int64]:
        """Rows of readable images."""
        good = np.ones(len(self.names), bool)
        good[list(self.problems)] = False
        return np.flatnonzero(good)

    @property
    def deep(self) -> NDArray[np.int64]:
        """Rows of images with one channel of more than 8 bits."""
        return np.flatnonzero(self.traits & ImageTrait.DEEP.value)

    def grey_range(self, rows: NDArray[np.int64], labels: Sequence[int]) -> GreyRange | None:
        """The range that serves those of `rows` that are deep, of classes `labels`; None if there are none."""
        ranges = [(float(low), float(high)) for low, high in self.ranges[rows]]
        deep = (self.traits[rows] & ImageTrait.DEEP.value != 0).tolist()
        return common_range(list(compress(ranges, deep)), list(compress(labels, deep)))

    def common_range(self) -> GreyRange | None:
        """The range in which deep images are compared; None if there are none."""
        return self.grey_range(self.deep, [0] * len(self.deep))

    def compare_deep_images(self) -> None:
        """Express what was found in deep images, each seen in a range of its own, in the range of all of them."""
        rows = self.deep
        if (common := self.common_range()) is None:
            return
        low, high = self.ranges[rows].T
        scale = (high - low) / (common[1] - common[0])
        contrasts = self.contrasts[rows]
        faint = _FAINT * SIDE
        stretched = np.maximum(contrasts, faint) * scale / np.maximum(contrasts * scale, faint)
        self.descriptors[rows] *= stretched[:, None].astype(np.float32)
        self.means[rows] = (self.means[rows] * scale + (low - common[0]) * 255 / (common[1] - common[0])).clip(0, 255)
        self.contrasts[rows] = contrasts * scale

    def put(self, start: int, rows: NDArray[Any], problems: dict[int, str]) -> None:
        """Take over what was found in a portion."""
        part = slice(start, start + len(rows))
        self.digests[part] = [digest.tobytes() for digest in rows["digest"]]
        self.lengths[part], self.crcs[part] = rows["length"], rows["crc"]
        self.traits[part], self.sizes[part] = rows["traits"], rows["size"]
        self.ranges[part], self.contrasts[part] = rows["range"], rows["contrast"]
        self.descriptors[part], self.means[part], self.colours[part] = rows["descriptor"], rows["mean"], rows["colour"]
        self.problems.update({start + position: problem for position, problem in problems.items()})
        self.formats.update(name.decode() for name in rows["format"].tolist() if name)


def inspect(
    images: Images,
    limits: Limits,
    work_dir: Path,
    *,
    saved_dir: Path | None = None,
    inspectors: Inspectors | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    on_listed: OnListed = lambda images, content_bytes: None,
) -> Inspected:
    """Open all `images`.

    Args:
        work_dir: an existing folder for files that the processes need.
        saved_dir: where what was found is saved; what an earlier attempt saved there is not opened again.
        inspectors: processes that open images; by default one per core.
        on_listed: called before any image is opened, unless all were by an earlier attempt.
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
    for start, rows, problems in _opened(images, limits, work_dir, missing, inspectors or Inspectors(), on_listed):
        if saved is not None:
            saved.save(start, rows, problems)
        found.put(start, rows, problems)
        done += len(rows)
        on_progress(done / len(images.names))
    found.problems = dict(sorted(found.problems.items()))
    found.compare_deep_images()
    return found


def _opened(
    images: Images,
    limits: Limits,
    work_dir: Path,
    portions: Sequence[NDArray[np.int64]],
    inspectors: Inspectors,
    on_listed: OnListed,
) -> Iterator[tuple[int, NDArray[Any], dict[int, str]]]:
    """The first row of each portion, its rows, and the problems by position, in any order of portions."""
    if not portions:
        return
    inspectors.start(len(portions))  # first, because they take a while to start
    listing = list_files(images.kind, images.path, images.names, limits, images.files)
    on_listed(len(listing), int(listing.entries["size_bytes"].sum()))
    inspectors.begin(work_dir, listing, limits)
    for portion in inspectors.inspect(portions):
        yield int(portion.rows[0]), _rows(portion.records), portion.problems
    inspectors.dismiss()


def _rows(records: Records) -> NDArray[Any]:
    """Compute descriptors, means and colours from thumbnails."""
    rows, thumbs = np.zeros(len(records), _ROW), records["thumb"].transpose(0, 3, 1, 2)
    for name in ("digest", "length", "crc", "format", "traits", "size", "range"):
        rows[name] = records[name]
    waves = (_WAVES @ thumbs[:, 0] @ _WAVES.T).astype(np.float32)
    waves = waves.reshape(len(thumbs), -1)  # (B, FREQUENCIES ** 2)
    contrast = np.sqrt(np.square(waves[:, 1:]).sum(axis=1, keepdims=True))
    rows["contrast"] = contrast[:, 0]
    rows["descriptor"] = waves[:, 1:] / np.maximum(contrast, _FAINT * SIDE)
    rows["mean"] = waves[:, 0] / SIDE
    blocks = thumbs[:, 1:].reshape(len(thumbs), 2, COLOUR_SIDE, SIDE // COLOUR_SIDE, COLOUR_SIDE, SIDE // COLOUR_SIDE)
    sums = np.add.reduce(np.add.reduce(blocks, axis=5, dtype=np.uint16), axis=3)  # whole numbers, several times as fast
    rows["colour"] = np.round(sums / (SIDE // COLOUR_SIDE) ** 2)
    return rows
