"""Which test images a network gets right, as stored with a result: one bit for each, in the order of the dataset."""

from __future__ import annotations

import base64
from collections.abc import Iterable


def packed(right: Iterable[bool]) -> str:
    """Base64 of the bits, the first image in the highest bit of the first byte; unused bits are 0."""
    bits = "".join("1" if is_right else "0" for is_right in right)
    size_bytes = -(-len(bits) // 8)
    return base64.b64encode(int(bits.ljust(8 * size_bytes, "0") or "0", 2).to_bytes(size_bytes, "big")).decode()


def only_one_right(one: str, other: str) -> tuple[int, int]:
    """How many of the same images only `one` has, and only `other`. Both are of `packed`, and equally long."""
    first, second = (int.from_bytes(base64.b64decode(text), "big") for text in (one, other))
    return (first & ~second).bit_count(), (second & ~first).bit_count()


def count_right(text: str) -> int:
    """How many images are right."""
    return int.from_bytes(base64.b64decode(text), "big").bit_count()
