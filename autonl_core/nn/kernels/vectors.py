"""Tiles of sums that stay in vector registers: what convolutions at inference are made of, as LLVM code.

Numba makes of a loop over arrays code that writes every partial sum back to memory. Here a tile, a few positions by one
or two vectors of channels, is begun with the bias, summed in registers, activated and only then written.

Everything here runs while a kernel is compiled: functions add instructions to it, and a call of what they return is
inlined. Addresses are integers, steps are in bytes, numbers are float32, and nothing is checked when it runs: who calls
the kernel has to (`nn/blocks/inference.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # typed nowhere
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from autonl_core.nn.kernels import HARD_SIGMOID, HARD_SWISH, LANES, RELU, RELU6, SIGMOID, SWISH
from autonl_core.nn.kernels.exponential import LIMIT, LOG2_E, MANTISSA_BITS, POLYNOMIAL, ROUND

VECTOR_BYTES = 4 * LANES
_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)

Body = Callable[["Code", Sequence[Any]], None]


def _all(value: float | np.float32) -> Any:
    """A constant in all lanes."""
    return ir.Constant(_VECTOR, [float(np.float32(value))] * LANES)


class Code:
    """Instructions on vectors, added to a function that is being compiled."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def address(self, base: Any, *terms: tuple[Any, Any]) -> Any:
        """base + the sum of products; numbers stand for themselves."""
        for a, b in terms:
            product = a * b if isinstance(a, int) and isinstance(b, int) else None
            offset = self._int(product) if product is not None else self.builder.mul(self._int(a), self._int(b))
            base = self.builder.add(base, offset)
        return base

    def _int(self, value: Any) -> Any:
        return ir.Constant(ir.IntType(64), value) if isinstance(value, int) else value

    def load(self, address: Any) -> Any:
        """LANES neighbouring numbers, at any multiple of four bytes."""
        return self._load(address, _VECTOR)

    def load_to_all(self, address: Any) -> Any:
        """One number in all lanes."""
        first = self.builder.insert_element(
            ir.Constant(_VECTOR, ir.Undefined), self._load(address, _FLOAT), ir.Constant(_INT, 0)
        )
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        return self.builder.shuffle_vector(first, undefined, ir.Constant(_INTS, [0] * LANES))

    def _load(self, address: Any, kind: Any) -> Any:
        loaded = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        loaded.align = 4
        return loaded

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self.builder.inttoptr(address, _VECTOR.as_pointer())).align = 4

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        name, function = f"llvm.fmuladd.v{LANES}f32", ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), [a, b, c])

    def clamp(self, x: Any, low: float | np.float32, high: float | np.float32 | None = None) -> Any:
        """NaN passes."""
        b = self.builder
        x = b.select(b.fcmp_ordered("<", x, _all(low)), _all(low), x)
        return x if high is None else b.select(b.fcmp_ordered(">", x, _all(high)), _all(high), x)

    def exp(self, x: Any) -> Any:
        """As in `exponential.py`."""
        b = self.builder
        power = self.clamp(b.fmul(x, _all(LOG2_E)), -LIMIT, LIMIT)
        shifted = b.fadd(power, _all(ROUND))
        f = b.fsub(power, b.fsub(shifted, _all(ROUND)))
        p = _all(POLYNOMIAL[-1])
        for coefficient in POLYNOMIAL[-2::-1]:
            p = self.multiply_add(p, f, _all(coefficient))
        p = self.multiply_add(p, f, _all(1))
        n_bits = b.shl(b.bitcast(shifted, _INTS), ir.Constant(_INTS, [int(MANTISSA_BITS)] * LANES))
        return b.bitcast(b.add(b.bitcast(p, _INTS), n_bits), _VECTOR)

    def activate(self, v: Any, kind: int) -> Any:
        """An activation or a gate, by its number in `autonl_core.nn.kernels`; not PLAIN."""
        b = self.builder
        if kind == RELU:
            return self.clamp(v, 0)
        if kind == RELU6:
            return self.clamp(v, 0, 6)
        if kind in (HARD_SWISH, HARD_SIGMOID):
            gate = b.fmul(self.clamp(b.fadd(v, _all(3)), 0, 6), _all(1 / 6))
            return b.fmul(v, gate) if kind == HARD_SWISH else gate
        return b.fdiv(v if kind == SWISH else _all(1), b.fadd(_all(1), self.exp(b.fsub(_all(-0.0), v))))


class Tile:
    """Sums for `rows` positions and `vectors` x LANES channels, which begin as the bias. All stay in registers."""

    def __init__(self, code: Code, rows: int, vectors: int, bias: Any) -> None:
        self.code, self.rows, self.vectors = code, rows, vectors
        self.sums = [cgutils.alloca_once(code.builder, _VECTOR) for _ in range(rows * vectors)]
        for j, start in enumerate(self.load_row(bias)):
            for r in range(rows):
                code.builder.store(start, self.sums[r * vectors + j])

    def load_row(self, address: Any) -> list[Any]:
        """Neighbouring vectors, as many as the tile is wide."""
        return [self.code.load(self.code.address(address, (j, VECTOR_BYTES))) for j in range(self.vectors)]

    def add(self, row: int, vector: int, a: Any, b: Any) -> None:
        """Add a * b to one sum."""
        place = self.sums[row * self.vectors + vector]
        self.code.builder.store(self.code.multiply_add(a, b, self.code.builder.load(place)), place)

    def finish(self, kind: Any, out: Any, out_step: Any) -> None:
        """Activate, and write rows that are `out_step` bytes apart."""
        b = self.code.builder
        for known in (SWISH, RELU, RELU6, HARD_SWISH, SIGMOID, HARD_SIGMOID):
            with b.if_then(b.icmp_signed("==", kind, ir.Constant(kind.type, known))):
                for place in self.sums:
                    b.store(self.code.activate(b.load(place), known), place)
        for index, place in enumerate(self.sums):
            row, vector = divmod(index, self.vectors)
            self.code.store(b.load(place), self.code.address(out, (row, out_step), (vector, VECTOR_BYTES)))


def _intrinsic(count: int, body: Body) -> Any:
    """A function of `count` integers, without a result, that consists of what `body` adds."""

    def generate(context: Any, builder: Any, _: Any, values: Sequence[Any]) -> Any:
        body(Code(builder), values)
        return context.get_dummy_value()

    def typed(_: Any, *arguments: Any) -> tuple[Any, Any]:
        return types.void(*[types.int64] * count), generate

    named = [inspect.Parameter(f"_{i + 1}", inspect.Parameter.POSITIONAL_OR_KEYWORD) for i in range(-1, count)]
    typed.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]  # numba knows no variable arguments
    return intrinsic(typed)


def product_tile(rows: int, vectors: int) -> Any:
    """`rows` rows of a matrix times a panel of another.

    (a, a_step, length, panel, bias, kind, out, out_step): rows of `length` numbers, `a_step` apart, times a dense panel
    (length, vectors * LANES), to rows that are `out_step` apart.
    """

    def body(code: Code, values: Sequence[Any]) -> None:
        a, a_step, length, panel, bias, kind, out, out_step = values
        tile, width = Tile(code, rows, vectors, bias), vectors * VECTOR_BYTES
        with cgutils.for_range(code.builder, length) as at:
            factors = tile.load_row(code.address(panel, (at.index, width)))
            for r in range(rows):
                x = code.load_to_all(code.address(a, (r, a_step), (at.index, 4)))
                for j, factor in enumerate(factors):
                    tile.add(r, j, x, factor)
        tile.finish(kind, out, out_step)

    return _intrinsic(8, body)


def window_tile(rows: int, vectors: int) -> Any:
    """Neighbouring results of a depthwise convolution, for `vectors` of channels.

    (x, x_step, line_step, tap_step, size, weight, weight_step, bias, kind, out, out_step): a window is `size` lines,
    `line_step` apart, of `size` taps, `tap_step` apart; that of the next result begins `x_step` later. The weights of
    one tap and of the next are `weight_step` apart, results `out_step`.
    """

    def body(code: Code, values: Sequence[Any]) -> None:
        x, x_step, line_step, tap_step, size, weight, weight_step, bias, kind, out, out_step = values
        tile = Tile(code, rows, vectors, bias)
        with cgutils.for_range(code.builder, size) as line:
            first = code.builder.mul(line.index, size)
            with cgutils.for_range(code.builder, size) as tap:
                factors = tile.load_row(code.address(weight, (code.builder.add(first, tap.index), weight_step)))
                for r in range(rows):
                    start = code.address(x, (line.index, line_step), (tap.index, tap_step), (r, x_step))
                    for j, value in enumerate(tile.load_row(start)):
                        tile.add(r, j, value, factors[j])
        tile.finish(kind, out, out_step)

    return _intrinsic(11, body)


def copier(vectors: int) -> Any:
    """(source, source_step, target, target_step, count): copies `count` times so many vectors."""

    def body(code: Code, values: Sequence[Any]) -> None:
        source, source_step, target, target_step, count = values
        with cgutils.for_range(code.builder, count) as at:
            for j in range(vectors):
                value = code.load(code.address(source, (at.index, source_step), (j, VECTOR_BYTES)))
                code.store(value, code.address(target, (at.index, target_step), (j, VECTOR_BYTES)))

    return _intrinsic(5, body)
