"""Loops of the training kernels work on vectors: one that does not is right, but several times slower."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numba import types
from numba.core.dispatcher import Dispatcher

from autonl_core.nn.kernels import batch_norm, depthwise
from autonl_core.nn.kernels.compiled import Compiled

KERNELS = (batch_norm.normalise, batch_norm.differentiate, depthwise.weight_gradient)
ONCE_PER_CHANNEL = {"_statistics", "_weight_grads"}
LOOPS = {
    name: function
    for module in (batch_norm, depthwise)
    for name, function in vars(module).items()
    if isinstance(function, Dispatcher) and name.startswith("_") and name not in ONCE_PER_CHANNEL
}
ARITHMETIC_ON_VECTORS = re.compile(r"\b(fadd|fmul|fsub|fma|fmuladd)\b.*<\d+ x (float|double)>")


@pytest.fixture(scope="module", autouse=True)
def compiled_here() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compiled, "can_be_cached", property(lambda _: False))  # what is loaded has no code to look at
        for kernel in KERNELS:
            Compiled(kernel._kernel, kernel._given).compile_for(np.float32(1))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(LOOPS))
def test_a_loop_over_a_map_is_compiled_for_dense_rows_and_for_vectors(name: str) -> None:
    function = LOOPS[name]
    of_maps = [signature for signature in function.signatures if any(_is_single(given) for given in signature)]
    assert of_maps, "no kernel uses it"
    for signature in of_maps:
        layouts = [given.layout for given in signature if isinstance(given, types.Array)]
        assert set(layouts) == {"C"}, f"{name} is given {signature}"
        assert ARITHMETIC_ON_VECTORS.search(function.inspect_llvm(signature)), f"{name} computes one number at a time"


def _is_single(given: types.Type) -> bool:
    return isinstance(given, types.Array) and given.dtype == types.float32
