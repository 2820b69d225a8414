"""Folded convolutions and squeeze-excite as compiled kernels: float32 on a CPU, for channels in multiples of eight.

PyTorch takes 45 us to begin a convolution of any size, and a pass of its own for the activation. A kernel does both in
one pass. Wherever none applies, the layer computes with PyTorch's operators; `FastPath.run` decides, and it alone hands
addresses to kernels, which check nothing. A dense convolution larger than 1x1, of which a network has one, its stem, is
left to PyTorch: a kernel for it saved 5 to 10% of small networks and nothing of others.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.forward_ad import unpack_dual
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from autonl_core.nn.blocks.activation import ACTIVATION_KINDS, SE_GATE_KINDS
from autonl_core.nn.blocks.on_cpu import runs_kernels
from autonl_core.nn.blocks.padding import first_window, padding_of
from autonl_core.nn.kernels import LANES, PANEL
from autonl_core.spec.arch import Activation, Padding, SeGate

_CHUNK_ROWS = 48  # of a matrix, in multiples of 6
_MACS_OF_ELEMENT = 40  # take as long as one element of the maps that `Compiled` counts
# Of one image, a second thread used up as much CPU time as it saved, on maps of less than a million elements.
_ALONE = 16
_PARTS = 4  # of the channels, or of the rows, of one image: for several threads


class Kernel(NamedTuple):
    """`run` computes a dense channels_last float32 map of `in_channels`, and works in place where its layer does."""

    in_channels: int
    run: Callable[[Tensor], Tensor]


class _Made(NamedTuple):
    """A kernel, and the state of the weights that it was made of."""

    weights: tuple[Tensor, ...] = ()
    state: tuple[tuple[int, int], ...] = ()
    held: tuple[Tensor, ...] = ()  # their memory, so that no other weights come to lie there
    kernel: Kernel | None = None

    def is_of(self, weights: tuple[Tensor, ...]) -> bool:
        return (
            len(self.weights) == len(weights)
            and all(map(operator.is_, self.weights, weights))
            and self.state == _state_of(weights)
        )


def _state_of(weights: tuple[Tensor, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((w.data_ptr(), w._version) for w in weights)  # noqa: SLF001


class FastPath:
    """The kernel of one layer with a packed copy of its weights, made again when these change.

    Neither copied nor saved with the layer. Threads may share it: what is made is replaced as a whole.
    """

    def __init__(self) -> None:
        self._made = _Made()

    def run(self, x: Tensor, weights: tuple[Tensor, ...], make: Callable[[], Kernel | None]) -> Tensor | None:
        """What the kernel makes of x (B, C, H, W); None where the layer has to compute with PyTorch's operators."""
        if not may_run_kernels(x):
            return None
        made = self._made
        if not made.is_of(weights):
            if not all(_is_plain(w) and not w.is_inference() for w in weights):  # of the latter, nothing counts changes
                return None
            made = self._made = _Made(weights, _state_of(weights), tuple(w.detach() for w in weights), make())
        if made.kernel is None or x.dim() != 4 or x.shape[1] != made.kernel.in_channels or x.numel() == 0:
            return None
        return made.kernel.run(x.contiguous(memory_format=torch.channels_last))

    def __deepcopy__(self, memo: object) -> FastPath:
        return FastPath()

    def __reduce__(self) -> tuple[type[FastPath], tuple[()]]:
        return FastPath, ()


def may_run_kernels(x: Tensor) -> bool:
    """Whether kernels, which nothing else sees, may compute on `x`: no gradients, no tracing, float32, on a CPU."""
    return (
        not torch.compiler.is_compiling()  # asked first: the compiler reads no further
        and not torch.is_grad_enabled()
        and runs_kernels(x)
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]  # public, but not in torch.jit's __all__
        and not is_in_torch_dispatch_mode()
        and _is_plain(x)
        and _kernels() is not None
    )


def _is_plain(t: Tensor) -> bool:
    """Float32 numbers in main memory and nothing more: no subclass, no vmap, no tangent, no sign left to apply."""
    return (
        type(t) in (Tensor, nn.Parameter)
        and t.dtype == torch.float32
        and t.device.type == "cpu"
        and t.layout == torch.strided
        and not t.is_neg()
        and not is_functorch_wrapped_tensor(t)
        and unpack_dual(t).tangent is None
    )


@functools.cache
def _kernels() -> ModuleType | None:
    """The kernels; None without Numba, or where every process would have to compile them for itself."""
    try:
        from autonl_core.nn.kernels import inference
    except ImportError:
        return None
    return inference if inference.pointwise.can_be_cached else None


def kernel_of(conv: nn.Conv2d, activation: Activation | None) -> Kernel | None:
    """What runs a 1x1 or depthwise convolution with bias and then `activation`; None if no kernel does."""
    if conv.bias is None or conv.out_channels % LANES:
        return None
    weight, bias, size = conv.weight.detach(), conv.bias.detach().clone(), conv.kernel_size[0]
    if conv.kernel_size != (size, size) or conv.padding != (size // 2,) * 2 or size % 2 == 0:
        return None
    if conv.dilation != (1, 1) or conv.stride[0] != conv.stride[1] or conv.padding_mode != "zeros":
        return None
    if conv.groups == conv.in_channels == conv.out_channels:
        return _depthwise(weight, bias, conv.stride[0], padding_of(conv), ACTIVATION_KINDS[activation])
    if conv.groups == 1 and size == 1 and conv.stride == (1, 1):
        return _pointwise(weight, bias, ACTIVATION_KINDS[activation])
    return None


def squeeze_excite_of(reduce: nn.Conv2d, expand: nn.Conv2d, activation: Activation, gate: SeGate) -> Kernel | None:
    """What scales a map in place; None if no kernel does."""
    if reduce.in_channels % LANES or reduce.bias is None or expand.bias is None:
        return None
    from autonl_core.nn.kernels.inference import squeeze_excite

    squeezed = -(-reduce.out_channels // LANES) * LANES  # padded with units that nothing goes through
    missing = squeezed - reduce.out_channels
    narrow = nn.functional.pad(reduce.weight.detach().flatten(1), (0, 0, 0, missing))
    weights = [pack(narrow), nn.functional.pad(reduce.bias.detach(), (0, missing))]
    weights += [pack(nn.functional.pad(expand.weight.detach().flatten(1), (0, missing))), expand.bias.detach().clone()]
    kinds = ACTIVATION_KINDS[activation], SE_GATE_KINDS[gate]

    def run(x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        sizes = batch, height * width, channels, squeezed
        addresses = [t.data_ptr() for t in weights]
        numbers = x.data_ptr(), *addresses, *sizes, *kinds
        squeeze_excite(torch.get_num_threads(), _elements(x, x.numel()), numbers)
        return x

    return Kernel(reduce.in_channels, run)


def pack(matrix: Tensor) -> Tensor:
    """(C_out, K) -> panels of sixteen columns of its transpose, one after another; the last may be of eight."""
    return torch.cat([panel.T.flatten() for panel in matrix.split(PANEL)])


def _elements(x: Tensor, elements: int) -> int:
    """What decides on the number of threads."""
    return elements if len(x) > 1 else elements // _ALONE


def _new_map(batch: int, channels: int, height: int, width: int) -> Tensor:
    """Whatever the defaults for new tensors are: a kernel writes float32 to main memory."""
    shape, layout = (batch, channels, height, width), torch.channels_last
    return torch.empty(shape, dtype=torch.float32, device="cpu", memory_format=layout)


def _pointwise(weight: Tensor, bias: Tensor, kind: int) -> Kernel:
    """weight: (C_out, C_in, 1, 1)."""
    from autonl_core.nn.kernels.inference import pointwise

    channels, in_channels = weight.shape[:2]
    panels = pack(weight.flatten(1))

    def run(x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        out = _new_map(batch, channels, height, width)
        rows = batch * height * width
        chunk = min(_CHUNK_ROWS, 6 * -(-rows // (6 * _PARTS)))
        pointers = x.data_ptr(), panels.data_ptr(), bias.data_ptr(), out.data_ptr()
        elements = _elements(x, rows * channels * (1 + in_channels // _MACS_OF_ELEMENT))
        pointwise(torch.get_num_threads(), elements, (*pointers, rows, in_channels, channels, kind, chunk))
        return out

    return Kernel(in_channels, run)


def _depthwise(weight: Tensor, bias: Tensor, stride: int, padding: Padding, kind: int) -> Kernel:
    """weight: (C, 1, k, k)."""
    from autonl_core.nn.kernels.inference import depthwise

    channels, size = weight.shape[0], weight.shape[-1]
    taps = weight[:, 0].permute(1, 2, 0).contiguous()  # (k, k, C)
    if taps.data_ptr() == weight.data_ptr():  # they would change with the weight
        taps = taps.clone()

    def run(x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        out = _new_map(batch, channels, (height - 1) // stride + 1, (width - 1) // stride + 1)
        pointers = x.data_ptr(), taps.data_ptr(), bias.data_ptr(), out.data_ptr()
        first = first_window(x, size, stride, padding)
        numbers = *pointers, batch, height, width, channels, size, stride, *first, kind, _PARTS
        depthwise(torch.get_num_threads(), _elements(x, x.numel()), numbers)
        return out

    return Kernel(channels, run)
