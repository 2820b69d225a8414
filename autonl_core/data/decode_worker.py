"""A process that decodes images for a search: `python -m autonl_core.data.decode_worker`. Loads no torch.

The first line of standard input is JSON: where the listing and its files lie, resolution, limits. Then come requests, a
count and so many rows; the answer to each is the length of a JSON text, that text (what is wrong with which image) and
the pixels, zeros for images that cannot be read. The end of standard input, which the kernel brings about however the
search ends, ends this process too.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode import Images, read_image
from autonl_core.data.listing import Files, Listing
from autonl_core.datasets.limits import Limits

OUT_OF_MEMORY = 3  # exit code
LENGTH = struct.Struct("<Q")


class Decoder:
    """Decodes the images of a listing at one resolution."""

    def __init__(self, listing: Listing, resolution: int, limits: Limits) -> None:
        self.files, self.resolution, self.limits = Files(listing, limits), resolution, limits

    def decode(self, rows: NDArray[np.int64]) -> tuple[Images, dict[int, str]]:
        """Images of these rows, (B, R, R, 3) uint8; and for those that cannot be read, why, by position."""
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
    """Answer requests until there are no more."""
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's goes to the search as well, which then ends us
    told = json.loads(sys.stdin.buffer.readline())
    listing = Listing.load(Path(told["folder"]), Path(told["location"]), is_archive=told["is_archive"])
    try:
        serve(Decoder(listing, told["resolution"], Limits(**told["limits"])), sys.stdin.buffer, sys.stdout.buffer)
    except MemoryError:
        return OUT_OF_MEMORY
    except BrokenPipeError:  # the search is gone, and with it whoever could read the rest
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
