"""`python -m worker.devices.probe`: whether a search could compute on the GPU that CUDA_VISIBLE_DEVICES names.

A tiny process without torch: it has the driver make a context, writes to memory of the GPU, and reads it back. Exit
code 0: it did; 1: not, and the last line of the output says why. A GPU that hangs is noticed by the caller's timeout.
"""

from __future__ import annotations

import ctypes
import sys

_LIBRARY = "libcuda.so.1"
_BYTES = 1 << 20
_PATTERN = 0xA5


class ProbeFailed(Exception):
    """The GPU did not do what was asked."""


class _Driver:
    """The functions of the CUDA driver. Each raises ProbeFailed if the driver returns an error."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise ProbeFailed(f"no CUDA driver: {error}") from error

    def call(self, name: str, *arguments: object) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            raise ProbeFailed(f"{name} failed: {self._name_of(code)}")

    def _name_of(self, code: int) -> str:
        text = ctypes.c_char_p()
        if self._library.cuGetErrorName(code, ctypes.byref(text)) == 0 and text.value is not None:
            return f"{text.value.decode()} ({code})"
        return f"error {code}"


def probe() -> None:
    """Use the first GPU that is visible. Raises ProbeFailed."""
    driver, device, context, memory = _Driver(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    driver.call("cuInit", 0)
    driver.call("cuDeviceGet", ctypes.byref(device), 0)
    driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    driver.call("cuCtxSetCurrent", context)
    driver.call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(_BYTES))
    driver.call("cuMemsetD8_v2", memory, ctypes.c_ubyte(_PATTERN), ctypes.c_size_t(_BYTES))
    back = ctypes.create_string_buffer(_BYTES)
    driver.call("cuMemcpyDtoH_v2", back, memory, ctypes.c_size_t(_BYTES))
    driver.call("cuMemFree_v2", memory)
    driver.call("cuDevicePrimaryCtxRelease_v2", device)
    if back.raw != bytes([_PATTERN]) * _BYTES:
        raise ProbeFailed("memory of the GPU came back changed")


if __name__ == "__main__":
    try:
        probe()
    except ProbeFailed as failure:
        sys.exit(str(failure))
