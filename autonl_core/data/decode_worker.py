"""A process that decodes images for a search: `python -m autonl_core.data.decode_worker`. Does not import PyTorch.

The first line of standard input is a `Handshake` in JSON. Then come requests: a count, and that many rows. The answer
to each is the length of a JSON text, that text (the problems by position) and the pixels, zeros for images that cannot
be read. The process ends at the end of standard input, which the kernel causes however the search process ends.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode import Images, read_image
from autonl_core.data.listing import ListedFiles, Listing, ReaderTask
from autonl_core.datasets.limits import Limits

OUT_OF_MEMORY = 3  # exit code
LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Handshake(ReaderTask):
    """What a worker is to decode."""

    resolution: int


class Decoder:
    """Decodes the images of a listing at one resolution."""

    def __init__(self, listing: Listing, resolution: int, limits: Limits) -> None:
        self.files, self.resolution, self.limits = ListedFiles(listing, limits), resolution, limits

    def decode(self, rows: NDArray[np.int64]) -> tuple[Images, dict[int, str]]:
        """Images of these rows, (B, R, R, 3) uint8, and the problems of those that cannot be read, by position."""
        images = np.zeros((len(rows), self.resolution, self.resolution, 3), dtype=np.uint8)
        problems: dict[int, str] = {}
        for position, row in enumerate(rows.tolist()):
            image = read_image(self.files.read(row), self.resolution, self.limits)
            if isinstance(image, str):
                problems[position] = image
            else:
                images[position] = image
        return images, problems


def serve(decoder: Decoder, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input ends."""
    while len(head := requests.read(LENGTH.size)) == LENGTH.size:
        (count,) = LENGTH.unpack(head)
        wanted = requests.read(8 * count)
        if len(wanted) < 8 * count:
            return
        images, problems = decoder.decode(np.frombuffer(wanted, dtype=np.int64))
        text = json.dumps(problems).encode()
        answers.write(LENGTH.pack(len(text)) + text)
        answers.write(images.data)
        answers.flush()


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the search process too, which then closes our input
    handshake = Handshake.from_line(sys.stdin.buffer.readline())
    listing = Listing.load(Path(handshake.folder), handshake.kind, Path(handshake.path))
    try:
        serve(Decoder(listing, handshake.resolution, handshake.limits), sys.stdin.buffer, sys.stdout.buffer)
    except MemoryError:
        return OUT_OF_MEMORY
    except BrokenPipeError:  # the search process is gone: there is no reader for the remaining output
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
