"""A process that compares the pixels of images: `python -m autonl_core.dataset_check.compare_worker`.

It is spoken to like `inspect_worker`, with a `PAIR` in the place of every row and a `LIKENESS` in the place of every
record. The text says why some of the pairs cannot be compared. Images that were decoded last are kept for the next
pairs, as many as fit into `_KEPT_BYTES`. Does not import PyTorch or SciPy.
"""

from __future__ import annotations

import json
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autonl_core.data.decode import read_image
from autonl_core.data.listing import ListedFiles
from autonl_core.dataset_check.request_loop import BLOCK, InspectTask, serve_requests
from autonl_core.dataset_check.same_picture import SIDE, compare
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import GreyRange
from autonl_core.errors import ImageError

PAIR = np.dtype(
    [
        ("number", np.int64),  # of the pair
        ("one", np.int64),  # row
        ("other", np.int64),
        ("longer_px", np.int64),  # longer side of the smaller image, as it is in its file
    ]
)
LIKENESS = np.dtype([("short_of_memory", np.bool_), ("same", np.bool_), ("distance", np.float32)])
_BLOCK_S = 1.0  # between blocks at most, or one pair if that takes longer
_KEPT_BYTES = 32 << 20

Pairs = NDArray[Any]  # (N,) of PAIR


@dataclass(frozen=True)
class CompareTask(InspectTask):
    """What a process is to compare."""

    grey_range: GreyRange | None = None  # that all deep images are seen in

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        task = super().from_line(line)
        if task.grey_range is None:
            return task
        low, high = task.grey_range  # JSON knows no tuples
        return replace(task, grey_range=(low, high))


def decode(data: bytes, limits: Limits, grey_range: GreyRange | None) -> Image.Image:
    """What is compared of an image file. Raises ImageError."""
    pixels = read_image(data, SIDE, limits, "whole", grey_range)
    if isinstance(pixels, str):
        raise ImageError(pixels)
    return Image.fromarray(pixels)


class _Pictures:
    """Reads images, at most `SIDE` long. Raises ImageError if one cannot be read."""

    def __init__(self, files: ListedFiles, task: CompareTask) -> None:
        self._files, self._task = files, task
        self._kept: OrderedDict[int, Image.Image] = OrderedDict()

    def read(self, row: int) -> Image.Image:
        if row in self._kept:
            self._kept.move_to_end(row)
            return self._kept[row]
        self._kept[row] = decode(self._files.read(row), self._task.limits, self._task.grey_range)
        while sum(3 * image.width * image.height for image in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return self._kept[row]


def _answer(pairs: Pairs, pictures: _Pictures, answers: BinaryIO) -> None:
    """Compare these pairs, and send blocks of records."""
    found, problems = np.zeros(len(pairs), LIKENESS), {}
    sent, send_at = 0, time.monotonic() + _BLOCK_S
    for place, pair in enumerate(pairs):
        try:
            one, other = (pictures.read(int(pair[name])) for name in ("one", "other"))
            found[place]["same"], found[place]["distance"] = compare(one, other, max(1.0, pair["longer_px"] / SIDE))
        except MemoryError:
            found[place]["short_of_memory"] = True
        except ImageError as error:
            problems[place - sent] = str(error)
        if time.monotonic() >= send_at or place == len(pairs) - 1:
            text = json.dumps(problems).encode()
            block = found[sent : place + 1]
            answers.write(BLOCK.pack(len(block), len(text)) + block.tobytes() + text)
            answers.flush()
            sent, problems, send_at = place + 1, {}, time.monotonic() + _BLOCK_S


def main() -> int:
    def begin(files: ListedFiles, task: CompareTask) -> Callable[[bytes], None]:
        pictures = _Pictures(files, task)
        return lambda pairs: _answer(np.frombuffer(pairs, PAIR), pictures, sys.stdout.buffer)

    return serve_requests(CompareTask, PAIR.itemsize, begin)


if __name__ == "__main__":
    sys.exit(main())
