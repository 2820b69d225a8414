"""What a process can do before its search is known: load what every search needs, and use once what is slow at first.

Nothing of it changes what a search computes, or a byte of what it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module


def load_search() -> None:
    """Load all that trains and draws."""
    import_module("torch._dynamo")  # otherwise loaded when the first optimiser is made
    import_module("autonl_core.search")
    from autonl_core.nn.kernels.__main__ import compile_all

    compile_all()


def load_exporters() -> None:
    """Load all that writes formats."""
    from autonl_core.export.first_use import use_exporters_once

    use_exporters_once()


STEPS: Sequence[Callable[[], None]] = (load_search, load_exporters)
