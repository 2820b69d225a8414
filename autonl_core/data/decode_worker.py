"""A process that decodes images for a search: `python -m autonl_core.data.decode_worker`. Does not import PyTorch.

The first line of standard input is a `Handshake` in JSON. Then come requests: a count, and that many rows. The answer
to each is the length of a JSON text, that text (the problems by position), the sizes and the pixels, zeros for images
that cannot be read. The process ends at the end of standard input, which the kernel causes however the search process
ends.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode import Framing, Images, read_image
from autonl_core.data.listing import ListedFiles, Listing, ReaderTask
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import GreyRange

OUT_OF_MEMORY = 3  # exit code
LENGTH = struct.Struct("<Q")

Sizes = NDArray[np.int32]  # (N, 2): height and width


@dataclass(frozen=True)
class Handshake(ReaderTask):
    """What a worker is to decode."""

    resolution: int
    framing: Framing
    grey_range: GreyRange | None


class Decoded(NamedTuple):
    """Decoded images. Those that are not square are at the top left of theirs, and the rest is zeros."""

    images: Images  # (B, R, R, 3)
    sizes: Sizes  # (B, 2); zeros for images that cannot be read
    problems: dict[int, str]  # of images that cannot be read, by position

    @staticmethod
    def empty(count: int, resolution: int) -> Decoded:
        images = np.zeros((count, resolution, resolution, 3), dtype=np.uint8)
        return Decoded(images, np.zeros((count, 2), dtype=np.int32), {})


class Decoder:
    """Decodes the images of a listing at one resolution."""

    def __init__(
        self,
        listing: Listing,
        resolution: int,
        limits: Limits,
        framing: Framing = "square",
        grey_range: GreyRange | None = None,
    ) -> None:
        self.files = ListedFiles(listing, limits)
        self.resolution, self.limits, self.framing, self.grey_range = resolution, limits, framing, grey_range

    def decode(self, rows: NDArray[np.int64]) -> Decoded:
        """Images of these rows."""
        decoded = Decoded.empty(len(rows), self.resolution)
        for position, row in enumerate(rows.tolist()):
            data = self.files.read(row)
            image = read_image(data, self.resolution, self.limits, self.framing, self.grey_range)
            if isinstance(image, str):
                decoded.problems[position] = image
                continue
            height, width = image.shape[:2]
            decoded.images[position, :height, :width] = image
            decoded.sizes[position] = height, width
        return decoded


def serve(decoder: Decoder, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input ends."""
    while len(head := requests.read(LENGTH.size)) == LENGTH.size:
        (count,) = LENGTH.unpack(head)
        wanted = requests.read(8 * count)
        if len(wanted) < 8 * count:
            return
        decoded = decoder.decode(np.frombuffer(wanted, dtype=np.int64))
        text = json.dumps(decoded.problems).encode()
        answers.write(LENGTH.pack(len(text)) + text + decoded.sizes.tobytes())
        answers.write(decoded.images.data)
        answers.flush()


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the search process too, which then closes our input
    handshake = Handshake.from_line(sys.stdin.buffer.readline())
    listing = Listing.load(Path(handshake.folder), handshake.kind, Path(handshake.path))
    try:
        settings = (handshake.resolution, handshake.limits, handshake.framing, handshake.grey_range)
        decoder = Decoder(listing, *settings)
        serve(decoder, sys.stdin.buffer, sys.stdout.buffer)
    except MemoryError:
        return OUT_OF_MEMORY
    except BrokenPipeError:  # the search process is gone: there is no reader for the remaining output
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
