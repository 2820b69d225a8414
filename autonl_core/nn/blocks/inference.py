"""Folded convolutions and squeeze-excite as compiled kernels: float32 on a CPU, for channels in multiples of eight.

PyTorch takes 45 us to begin a convolution of any size, and a pass of its own for the activation. Wherever a kernel does
not apply, the layer computes with PyTorch's operators.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from autonl_core.nn.blocks.on_cpu import runs_kernels
from autonl_core.nn.kernels import HARD_SIGMOID, HARD_SWISH, PLAIN, RELU, RELU6, SIGMOID, SWISH
from autonl_core.spec.arch import Activation, SeGate

KINDS: dict[Activation | None, int] = {
    None: PLAIN,
    "swish": SWISH,
    "relu": RELU,
    "relu6": RELU6,
    "hard_swish": HARD_SWISH,
}
GATE_KINDS: dict[SeGate, int] = {"sigmoid": SIGMOID, "hard_sigmoid": HARD_SIGMOID}
_LANES, _PANEL = 8, 16  # of vectors.py, which loads Numba
_CHUNK_ROWS = 48  # of a matrix, in multiples of 6
_MACS_OF_ELEMENT = 40  # take as long as one element of the maps that `Compiled` counts
# Of one image, a second thread used up as much CPU time as it saved, on maps of less than a million elements.
_ALONE = 16
_PARTS = 4  # of the channels, or of the rows, of one image: for several threads

Run = Callable[[Tensor], Tensor]


def runs_inference_kernels(x: Tensor) -> bool:
    """Whether kernels may compute on `x`: where training kernels may, in float32, unwatched and without gradients."""
    return (
        x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and runs_kernels(x)
        and not torch.jit.is_tracing()
        and not is_in_torch_dispatch_mode()
        and x.numel() > 0
        and _has_numba()
    )


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


class Packed:
    """What a kernel needs of some tensors, made again when they change. Neither copied nor saved with its layer."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._held: list[Tensor] = []  # so that no other tensor comes to lie at their addresses
        self._run: Run | None = None

    def get(self, tensors: tuple[Tensor, ...], make: Callable[[], Run | None]) -> Run | None:
        key = tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)  # noqa: SLF001
        if key != self._key:
            self._run, self._held, self._key = make(), [t.detach() for t in tensors], key
        return self._run

    def __deepcopy__(self, memo: object) -> Packed:
        return Packed()

    def __reduce__(self) -> tuple[type[Packed], tuple[()]]:
        return Packed, ()


def kernel_of(conv: nn.Conv2d, activation: Activation | None) -> Run | None:
    """What runs a convolution with bias and then `activation`; None if no kernel does."""
    weight, bias = conv.weight.detach(), conv.bias
    square = conv.kernel_size[0] == conv.kernel_size[1] and conv.padding == (conv.kernel_size[0] // 2,) * 2
    plain = conv.dilation == (1, 1) and conv.stride[0] == conv.stride[1] and conv.kernel_size[0] % 2 == 1
    fits = weight.dtype == torch.float32 and weight.device.type == "cpu" and conv.out_channels % _LANES == 0
    if bias is None or not (square and plain and fits):
        return None
    kind, bias = KINDS[activation], bias.detach().clone()
    if conv.groups == conv.in_channels == conv.out_channels:
        return _depthwise(weight, bias, conv.stride[0], kind)
    if conv.groups > 1:
        return None
    if conv.kernel_size == (1, 1) and conv.stride == (1, 1):
        return _pointwise(weight, bias, kind)
    return _dense(weight, bias, conv.stride[0], kind)


def squeeze_excite_of(reduce: nn.Conv2d, expand: nn.Conv2d, activation: Activation, gate: SeGate) -> Run | None:
    """What scales a map in place; None if no kernel does."""
    if reduce.weight.dtype != torch.float32 or reduce.weight.device.type != "cpu" or reduce.in_channels % _LANES:
        return None
    from autonl_core.nn.kernels.inference import squeeze_excite

    assert reduce.bias is not None
    assert expand.bias is not None
    squeezed = -(-reduce.out_channels // _LANES) * _LANES  # padded with units that nothing goes through
    missing = squeezed - reduce.out_channels
    narrow = nn.functional.pad(reduce.weight.detach().flatten(1), (0, 0, 0, missing))
    weights = [pack(narrow), nn.functional.pad(reduce.bias.detach(), (0, missing))]
    weights += [pack(nn.functional.pad(expand.weight.detach().flatten(1), (0, missing))), expand.bias.detach().clone()]
    kinds = KINDS[activation], GATE_KINDS[gate]

    def run(x: Tensor) -> Tensor:
        x = dense_map(x)
        batch, channels, height, width = x.shape
        sizes = batch, height * width, channels, squeezed
        addresses = [t.data_ptr() for t in weights]
        squeeze_excite(torch.get_num_threads(), _elements(x, x.numel()), x.data_ptr(), *addresses, *sizes, *kinds)
        return x

    return run


def mean_of_positions(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C)."""
    if not runs_inference_kernels(x):
        return x.mean((2, 3))
    from autonl_core.nn.kernels.inference import means

    x = dense_map(x)
    batch, channels, height, width = x.shape
    out = x.new_empty((batch, channels))
    means(
        torch.get_num_threads(),
        _elements(x, x.numel()),
        x.data_ptr(),
        out.data_ptr(),
        batch,
        height * width,
        channels,
    )
    return out


def dense_map(x: Tensor) -> Tensor:
    """`x` in channels_last layout without gaps: itself, if it is."""
    return x.contiguous(memory_format=torch.channels_last)


def pack(matrix: Tensor) -> Tensor:
    """(C_out, K) -> panels of sixteen columns of its transpose, one after another; the last may be of eight."""
    return torch.cat([panel.T.flatten() for panel in matrix.split(_PANEL)])


def _elements(x: Tensor, elements: int) -> int:
    """What decides on the number of threads."""
    return elements if len(x) > 1 else elements // _ALONE


def _new_map(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    return torch.empty((len(x), channels, height, width), memory_format=torch.channels_last)


def _pointwise(weight: Tensor, bias: Tensor, kind: int) -> Run:
    from autonl_core.nn.kernels.inference import pointwise

    channels, in_channels = weight.shape[:2]
    panels = pack(weight.flatten(1))

    def run(x: Tensor) -> Tensor:
        x = dense_map(x)
        out = _new_map(x, channels, *x.shape[2:])
        rows = x.numel() // in_channels
        chunk = min(_CHUNK_ROWS, 6 * -(-rows // (6 * _PARTS)))
        pointers = x.data_ptr(), panels.data_ptr(), bias.data_ptr(), out.data_ptr()
        elements = _elements(x, rows * channels * (1 + in_channels // _MACS_OF_ELEMENT))
        pointwise(torch.get_num_threads(), elements, *pointers, rows, in_channels, channels, kind, chunk)
        return out

    return run


def _depthwise(weight: Tensor, bias: Tensor, stride: int, kind: int) -> Run:
    from autonl_core.nn.kernels.inference import depthwise

    channels, size = weight.shape[0], weight.shape[-1]
    taps = weight[:, 0].permute(1, 2, 0).contiguous()  # (k, k, C)

    def run(x: Tensor) -> Tensor:
        x = dense_map(x)
        height, width = x.shape[2:]
        out = _new_map(x, channels, (height - 1) // stride + 1, (width - 1) // stride + 1)
        pointers = x.data_ptr(), taps.data_ptr(), bias.data_ptr(), out.data_ptr()
        shape = len(x), height, width, channels
        depthwise(torch.get_num_threads(), _elements(x, x.numel()), *pointers, shape, size, stride, kind, _PARTS)
        return out

    return run


def _dense(weight: Tensor, bias: Tensor, stride: int, kind: int) -> Run:
    from autonl_core.nn.kernels.inference import convolve

    channels, size = weight.shape[0], weight.shape[-1]
    panels = pack(weight.permute(0, 2, 3, 1).flatten(1))

    def run(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        rows = (height - 1) // stride + 1
        out = _new_map(x, channels, rows, (width - 1) // stride + 1)
        pointers = panels.data_ptr(), bias.data_ptr(), out.data_ptr()
        band = min(8, -(-rows // _PARTS))
        positions = x.detach().contiguous().permute(0, 2, 3, 1).numpy()
        convolve(
            torch.get_num_threads(),
            _elements(x, out.numel()),
            positions,
            *pointers,
            size,
            stride,
            channels,
            kind,
            band,
        )
        return out

    return run
