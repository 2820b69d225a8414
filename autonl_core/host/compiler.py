"""Keeping torch's compiler out of processes that compile nothing: loading it takes one to three seconds."""

from __future__ import annotations

from types import FunctionType


def load_no_compiler(user: type) -> None:
    """Keep the methods of `user`, a class of torch, from loading torch's compiler.

    Some load it at their first call, in order to be left out of what it compiles. Where nothing that calls them is
    compiled, they may stay as they are. Without effect on a version of torch that does this otherwise.
    """
    for method in vars(user).values():
        undecorated = getattr(method, "__wrapped__", None)
        if isinstance(undecorated, FunctionType):
            undecorated.__dict__.setdefault("__dynamo_disable", undecorated)
