"""Runs a module confined: `python -m autonl_core.host.confined MODULE --write FOLDER --hide PATH --show PATH`.

The rights are taken away before the module is loaded, while this process has one thread: libraries start others.
"""

from __future__ import annotations

import argparse
import runpy
import subprocess
import sys
from pathlib import Path

from autonl_core.host.confinement import FileAccess, confine
from autonl_core.host.environment import confined_environment
from autonl_core.host.interpreter import module_command

_MODULE = "autonl_core.host.confined"
_NO_FILES = FileAccess()


def confined_command(module: str, access: FileAccess = _NO_FILES) -> tuple[str, ...]:
    """The command that runs `module` in a confined process, which writes no files unless `access` says so."""
    options = (("--write", access.writable), ("--hide", access.hidden), ("--show", access.shown))
    return module_command(_MODULE, module, *(f"{name}={path}" for name, paths in options for path in paths))


def missing_confinement() -> list[str]:
    """What this host cannot take away from a confined process, in words; empty: it can take away all."""
    command = module_command(_MODULE, "", "--hide=/nonexistent")
    tried = subprocess.run(command, env=confined_environment(), capture_output=True, text=True, check=False)
    return (tried.stdout if tried.returncode == 0 else tried.stderr).splitlines()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    for name in ("--write", "--hide", "--show"):
        parser.add_argument(name, type=Path, action="append", default=[])
    chosen = parser.parse_args()
    missing = confine(FileAccess(chosen.write, chosen.hide, chosen.show))
    if not chosen.module:  # it was only to be tried
        sys.stdout.writelines(f"{one}\n" for one in missing)
        return
    sys.argv = [chosen.module]
    runpy.run_module(chosen.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
