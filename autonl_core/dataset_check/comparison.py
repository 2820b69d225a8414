"""Compare the pixels of images that may show the same picture, in processes of their own as they are opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.listing import Listing, list_files
from autonl_core.dataset_check.compare_worker import LIKENESS, PAIR, CompareTask, Pairs
from autonl_core.dataset_check.inspect import Images, Inspected
from autonl_core.dataset_check.inspectors import Inspectors, Portion
from autonl_core.dataset_check.request_loop import InspectTask
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import GreyRange

_MODULE = "autonl_core.dataset_check.compare_worker"
_PORTION = 32  # pairs that a process gets at a time
_PAIRS_PER_PROCESS = 256  # below, the start of another one would take longer than its work

Rows = NDArray[np.int64]


class Comparers(Inspectors):
    """Up to `most` processes that compare images, deep ones seen in one range of values."""

    record: ClassVar[np.dtype[Any]] = LIKENESS

    def __init__(self, grey_range: GreyRange | None, most: int | None = None) -> None:
        super().__init__(most)
        self._grey_range = grey_range

    @staticmethod
    def module() -> str:
        return _MODULE

    def line_of(self, task: InspectTask) -> bytes:
        return CompareTask(task.folder, task.kind, task.path, task.limits, task.share_bytes, self._grey_range).to_line()

    @staticmethod
    def name_of(rows: Pairs, listing: Listing) -> str:
        return f"{listing.name(int(rows[0]['one']))!r} or {listing.name(int(rows[0]['other']))!r}"

    @staticmethod
    def note_fatal(single: Portion, listing: Listing, limits: Limits) -> None:
        """The record stays empty: what cannot be compared is not the same."""


class Comparison:
    """Which images show the same picture, by their pixels. Processes are started when there is something to compare.

    Attributes:
        count: pairs compared so far.
        problems: pairs of names that could not be compared, and why.
    """

    def __init__(
        self, images: Images, found: Inspected, limits: Limits, work_dir: Path, most: int | None = None
    ) -> None:
        self._images, self._found, self._limits, self._work_dir, self._most = images, found, limits, work_dir, most
        self._comparers: Comparers | None = None
        self.count = 0
        self.problems: list[tuple[str, str, str]] = []

    def same(self, one: Rows, other: Rows) -> NDArray[np.bool_]:
        """Whether these rows show the same picture, pair by pair. Raises as `Inspectors.inspect`."""
        return np.asarray(self.likeness(one, other)["same"])

    def likeness(self, one: Rows, other: Rows) -> NDArray[Any]:
        """A `LIKENESS` for every pair of rows. Raises as `Inspectors.inspect`."""
        likeness = np.zeros(len(one), LIKENESS)
        pairs = self._pairs(one, other)
        for portion in self._compared(pairs):
            numbered: Pairs = portion.rows
            likeness[numbered["number"]] = portion.records
            for place, problem in sorted(portion.problems.items()):
                pair = portion.rows[place]
                names = (self._found.names[int(pair[name])] for name in ("one", "other"))
                self.problems.append((*names, problem))  # type: ignore[arg-type]
        self.problems.sort()  # portions come back in any order
        self.count += len(one)
        return likeness

    def _pairs(self, one: Rows, other: Rows) -> Pairs:
        """Pairs with a common image stand together: it is decoded once."""
        pairs = np.zeros(len(one), PAIR)
        pairs["number"], pairs["one"], pairs["other"] = np.arange(len(one)), one, other
        longer = self._found.sizes.max(axis=1)
        pairs["longer_px"] = np.minimum(longer[one], longer[other])
        return pairs[np.lexsort((other, one))]

    def _compared(self, pairs: Pairs) -> Iterator[Portion]:
        if not len(pairs):
            return
        portions = [pairs[start : start + _PORTION] for start in range(0, len(pairs), _PORTION)]
        if self._comparers is None:
            self._comparers = Comparers(self._found.common_range(), self._most)
            self._comparers.start(1 + len(pairs) // _PAIRS_PER_PROCESS)
            images = self._images
            listing = list_files(images.kind, images.path, images.names, self._limits, images.files)
            self._comparers.begin(self._work_dir, listing, self._limits)
        yield from self._comparers.inspect(portions)

    def dismiss(self) -> None:
        """Let the processes end, without waiting for it."""
        if self._comparers is not None:
            self._comparers.dismiss()
