"""A device without hardware: PyTorch's place for devices of others (PrivateUse1), in Python, with the CPU's operators.

`import` registers it in this process as `second`, once and before anything is differentiated: PyTorch counts devices
when it first is. Tensors there hold one of the CPU that only this module sees, and refuse to meet the CPU's, as those
of a GPU do: but for copies, and for scalars. `HostReads` counts what a GPU would make the host wait for.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "second"
CORE = str(Path(__file__).parents[2] / "autonl_core")

aten = torch.ops.aten
# What a GPU can only answer to a waiting host: values, and results whose size depends on values.
_READS = {
    aten._local_scalar_dense,
    aten.nonzero,
    aten.masked_select,
    aten.equal,
    aten._unique2,
    aten.unique_dim,
    aten.bincount,
}
_BY_INDEX = {aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_}
_ACROSS = {aten.copy_, aten._to_copy, aten.copy}  # of devices


class Backend(_DummyBackendModule):
    """What `torch.second` is."""

    def get_device_name(self, device: object = None) -> str:
        return "second device"

    def synchronize(self, device: object = None) -> None: ...

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
DEVICE = torch.device(NAME, 0)


class HostReads:
    """How often the host waited for the device, by the line of the core that made it."""

    def __init__(self) -> None:
        self.by_line: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.by_line.total()


_counted: list[HostReads] = []


@contextmanager
def counting_host_reads() -> Iterator[HostReads]:
    """Counts the host's reads in a `with` block."""
    reads = HostReads()
    _counted.append(reads)
    try:
        yield reads
    finally:
        _counted.remove(reads)


class SecondTensor(torch.Tensor):
    """A tensor of the second device; `held` has its numbers."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch documents it

    @staticmethod
    def __new__(cls: type[SecondTensor], held: Tensor) -> SecondTensor:
        made: SecondTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=DEVICE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # a class method, as torch documents it
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        operator = func.overloadpacket
        if operator not in _ACROSS:
            _refuse_mixtures(func, args, kwargs)
        to_cpu = _goes_to_cpu(operator, args, kwargs)
        if to_cpu or operator in _READS or (operator in _BY_INDEX and _has_masks(args)):
            _count_read()
        if "device" in kwargs:
            kwargs["device"] = None if operator is aten._to_copy else torch.device("cpu")
        plain_args, plain_kwargs = pytree.tree_map_only(SecondTensor, lambda tensor: tensor.held, (args, kwargs))
        out = func(*plain_args, **plain_kwargs)
        return out if to_cpu else _with_the_written_ones(func, args, kwargs, out)


def _with_the_written_ones(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
    """`out` on the second device; what an operator writes to and returns is returned itself, as on any device."""
    if not func._schema.is_mutable:
        return _wrapped(out)
    given = {id(tensor.held): tensor for tensor in pytree.tree_leaves((args, kwargs)) if type(tensor) is SecondTensor}
    return pytree.tree_map_only(Tensor, lambda made: given[id(made)] if id(made) in given else SecondTensor(made), out)


def _wrapped(out: Any) -> Any:
    return pytree.tree_map_only(Tensor, SecondTensor, out)


def _refuse_mixtures(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for tensor in pytree.tree_leaves((args, kwargs)):
        if isinstance(tensor, Tensor) and not isinstance(tensor, SecondTensor) and tensor.dim() > 0:
            raise RuntimeError(
                f"{func}: expected all tensors to be on the same device, but found at least two, {DEVICE} and "
                f"{tensor.device}: a tensor of shape {tuple(tensor.shape)}"
            )


def _goes_to_cpu(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether numbers leave the device."""
    if operator is aten._to_copy:
        device = kwargs.get("device")
        return device is not None and torch.device(device).type == "cpu"
    return operator is aten.copy_ and not isinstance(args[0], SecondTensor)


def _has_masks(args: tuple[Any, ...]) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def _count_read() -> None:
    if not _counted:
        return
    frame = sys._getframe(1)
    while frame.f_back is not None and not frame.f_code.co_filename.startswith(CORE):
        frame = frame.f_back
    line = f"{frame.f_code.co_filename.removeprefix(CORE)}:{frame.f_lineno}"
    for reads in _counted:
        reads.by_line[line] += 1


def _empty(size: Sequence[int], *, memory_format: Any = None, dtype: Any = None, **_: Any) -> Tensor:
    return SecondTensor(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))


def _empty_strided(size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, **_: Any) -> Tensor:
    return SecondTensor(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, target: SecondTensor, non_blocking: bool = False) -> Tensor:
    """How `torch.tensor(..., device=...)` brings its numbers, past what other operators pass through."""
    target.held.copy_(source)
    return target


_KERNELS: dict[str, Callable[..., Tensor]] = {
    "empty.memory_format": _empty,
    "empty_strided": _empty_strided,
    "_copy_from": _copy_from,
}
_library = torch.library.Library("aten", "IMPL")  # what meets no tensor of the device, or is not passed to it
for _name, _kernel in _KERNELS.items():
    _library.impl(_name, _kernel, "PrivateUse1")
