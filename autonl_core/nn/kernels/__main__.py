"""`python -m autonl_core.nn.kernels` compiles every kernel into the cache, so that no search waits for it."""

from __future__ import annotations

import numpy as np

from autonl_core.nn.kernels import PLAIN
from autonl_core.nn.kernels.batch_norm import differentiate, normalise
from autonl_core.nn.kernels.compiled import Compiled
from autonl_core.nn.kernels.depthwise import weight_gradient
from autonl_core.nn.kernels.inference import depthwise, pointwise, squeeze_excite


def compile_all() -> None:
    """Run both forms of each kernel once, on the smallest arrays."""
    maps = np.ones((1, 1, 1, 1), np.float32)
    rows, vector, kernel = maps.reshape(1, 1), np.ones(1, np.float32), np.zeros((1, 1, 1), np.float32)
    found, weight_grads = np.ones((3, 1), np.float32), np.ones((2, 1), np.float32)
    _run(normalise, rows, vector, vector, rows, 1e-3, PLAIN, 1, rows.copy(), found)
    _run(differentiate, rows, rows, vector, vector, found, PLAIN, 1, rows.copy(), weight_grads)
    _run(weight_gradient, maps, maps, 1, 1, kernel)
    _compile_inference()


def _compile_inference() -> None:
    """A few positions and eight channels, all zeros, read and written at one place."""
    zeros = np.zeros(64, np.float32)
    at = zeros.ctypes.data
    _run(pointwise, at, at, at, at, 1, 8, 8, PLAIN, 6)
    _run(depthwise, at, at, at, at, (1, 1, 1, 8), 1, 1, (0, 0), PLAIN, 1)
    _run(squeeze_excite, at, at, at, at, at, 1, 1, 8, 8, PLAIN, PLAIN)


def _run(kernel: Compiled, *arguments: object) -> None:
    kernel.serial(*arguments)
    kernel.parallel(*arguments)


if __name__ == "__main__":
    compile_all()
