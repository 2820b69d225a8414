"""The order in which an epoch shows the images of a set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def shuffled(count: int, rng: np.random.Generator) -> Positions:
    """Every image once."""
    return rng.permutation(count)


def class_balanced(labels: NDArray[np.int64], rng: np.random.Generator) -> Positions:
    """As many images as there are, of every class the same number, or one more; in a random order.

    Images of a rare class come again, each as often as the others of it, or once more; of a frequent one some are left
    out, other ones in every epoch.
    """
    present = rng.permutation(np.unique(labels))
    whole, rest = divmod(len(labels), len(present))
    chosen = []
    for place, label in enumerate(present.tolist()):
        of_class = np.flatnonzero(labels == label)
        wanted = whole + (place < rest)
        rounds = [rng.permutation(of_class) for _ in range(-(-wanted // len(of_class)))]
        chosen.append(np.concatenate(rounds)[:wanted] if rounds else of_class[:0])
    return rng.permutation(np.concatenate(chosen))
