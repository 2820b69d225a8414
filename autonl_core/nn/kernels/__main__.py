"""`python -m autonl_core.nn.kernels` compiles every kernel into the cache, so that no search waits for it."""

from __future__ import annotations

import numpy as np

from autonl_core.nn.kernels.batch_norm import PLAIN, differentiate, normalise
from autonl_core.nn.kernels.compiled import Compiled
from autonl_core.nn.kernels.depthwise import weight_gradient


def compile_all() -> None:
    """Run both forms of each kernel once, on the smallest arrays."""
    maps = np.ones((1, 1, 1, 1), np.float32)
    rows, vector, kernel = maps.reshape(1, 1), np.ones(1, np.float32), np.zeros((1, 1, 1), np.float32)
    vectors = [vector.copy() for _ in range(4)]
    _run(normalise, rows, vector, vector, rows, 1e-3, PLAIN, 1, rows.copy(), *vectors[:3])
    _run(differentiate, rows, rows, *vectors, PLAIN, 1, rows.copy(), vector, vector)
    _run(weight_gradient, maps, maps, 1, 1, kernel)


def _run(kernel: Compiled, *arguments: object) -> None:
    kernel.serial(*arguments)
    kernel.parallel(*arguments)


if __name__ == "__main__":
    compile_all()
