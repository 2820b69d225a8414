"""From the sum over the parts of a network to the time of the whole, by networks of which both are known."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.search_space import SearchSpace

_SEED = 0
_SCALE_BOUNDS = (0.1, 10.0)
_OUTLIER = 0.02  # relative errors beyond it count less


def calibration_networks(spaces: Sequence[SearchSpace], count: int) -> list[ArchSpec]:
    """The smallest network, the largest, and random ones of all depths between; heads of several spaces in turn.

    Uniformly random networks would have nearly all of their layers, and so take nearly equal times.
    """
    rng = random.Random(_SEED)
    between = [_as_deep(spaces[place % len(spaces)], place / (count - 1), rng) for place in range(1, count - 1)]
    return [spaces[-1].smallest(), *between, spaces[0].largest()]


def _as_deep(space: SearchSpace, share: float, rng: random.Random) -> ArchSpec:
    """A random network that has about this share of the layers that may be skipped."""
    options = []
    for choices in space.blocks:
        blocks = [option for option in choices.options() if option is not None]
        options.append(None if choices.can_skip and rng.random() > share else rng.choice(blocks))
    return space.build(options)


def fit(sums_ns: Sequence[float], measured_ns: Sequence[int]) -> tuple[float, float]:
    """Overhead in ns and scale, of measured = overhead + scale * sum, by relative errors; outliers count less."""
    sums, measured = np.asarray(sums_ns, dtype=np.float64), np.asarray(measured_ns, dtype=np.float64)

    def errors(values: np.ndarray) -> np.ndarray:
        return (values[0] * measured.mean() + values[1] * sums) / measured - 1

    answer = least_squares(
        errors, x0=(0.0, 1.0), bounds=((-1.0, _SCALE_BOUNDS[0]), (1.0, _SCALE_BOUNDS[1])), loss="soft_l1",
        f_scale=_OUTLIER,
    )  # fmt: skip
    return float(answer.x[0] * measured.mean()), float(answer.x[1])
