"""`python -m autonl_core.nn.kernels` compiles every kernel into the cache, so that no search waits for it."""

from __future__ import annotations

from autonl_core.nn.kernels.batch_norm import differentiate, normalise
from autonl_core.nn.kernels.depthwise import weight_gradient
from autonl_core.nn.kernels.inference import depthwise, pointwise, squeeze_excite


def compile_all() -> None:
    """Compile every kernel, for single precision."""
    for kernel in (normalise, differentiate, weight_gradient, pointwise, depthwise, squeeze_excite):
        kernel.compile_for()


if __name__ == "__main__":
    compile_all()
