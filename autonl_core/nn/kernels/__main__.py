"""`python -m autonl_core.nn.kernels` compiles every kernel into the cache, so that no search waits for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonl_core.nn.kernels import PLAIN
from autonl_core.nn.kernels.batch_norm import differentiate, normalise
from autonl_core.nn.kernels.compiled import Compiled
from autonl_core.nn.kernels.depthwise import weight_gradient
from autonl_core.nn.kernels.inference import depthwise, pointwise, squeeze_excite
from autonl_core.nn.kernels.team import TEAMS


def compile_all() -> None:
    """Compile every kernel, for one thread and for a team, by running it on a few positions and eight channels.

    All numbers are zeros, but for the sizes, and are read and written at one place.
    """
    zeros = np.zeros(256, np.float32)
    at, one = zeros.ctypes.data, np.float32(1)
    shape = 1, 1, 1, 8
    _run(normalise, (at,) * 7, (1, 8, 1), 1e-3, one, PLAIN)
    _run(differentiate, (at,) * 8, (1, 8, 1), one, PLAIN)
    _run(weight_gradient, *[at] * 4, shape, shape, 1, 1, 1, one)
    _run(pointwise, *[at] * 4, 1, 8, 8, PLAIN, 6)
    _run(depthwise, *[at] * 4, shape, 1, 1, (0, 0), PLAIN, 1)
    _run(squeeze_excite, *[at] * 5, 1, 1, 8, 8, PLAIN, PLAIN)


def _run(kernel: Compiled, *numbers: Any) -> None:
    kernel.alone(0, 1, *numbers)
    if TEAMS:
        kernel.together(1, *numbers)


if __name__ == "__main__":
    compile_all()
