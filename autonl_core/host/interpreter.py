"""How this program starts modules of its own in fresh interpreters."""

from __future__ import annotations

import sys


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs `module` as `python -m` would, except for what lies in the current folder.

    A folder there that is called `worker`, say, would run in place of ours.
    """
    return (sys.executable, "-P", "-m", module, *arguments)
