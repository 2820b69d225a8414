"""The order of images in an epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def shuffled(count: int, rng: np.random.Generator) -> Positions:
    """Every image once."""
    return rng.permutation(count)


def class_balanced(labels: NDArray[np.int64], rng: np.random.Generator) -> Positions:
    """As many positions as there are images, equally many of every class or one more, in random order.

    Images of a rare class are repeated, each equally often or once more; some images of a frequent class are skipped,
    different ones in every epoch.
    """
    present = rng.permutation(np.unique(labels))
    whole, rest = divmod(len(labels), len(present))
    chosen = []
    for place, label in enumerate(present.tolist()):
        positions = np.flatnonzero(labels == label)
        wanted = whole + (place < rest)
        rounds = [rng.permutation(positions) for _ in range(-(-wanted // len(positions)))]
        chosen.append(np.concatenate(rounds)[:wanted] if rounds else positions[:0])
    return rng.permutation(np.concatenate(chosen))
