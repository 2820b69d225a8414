"""Programs of a bundle as users run them: in a Python that has a few packages and none of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path


def site_of(folder: Path, names: tuple[str, ...]) -> Path:
    """Fill `folder` with links to packages and their requirements: all that `python -I -S` can then import."""
    for name in _with_requirements(names):
        distribution = metadata.distribution(name)
        for top in {Path(file).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return folder


def run_isolated(site: Path, bundle: Path, program: str, *arguments: str) -> tuple[int, str, str]:
    """Run a program of `bundle` in a Python that has only `site`; returns exit code, output and errors."""
    start = "import runpy, sys; sys.path.append(sys.argv.pop(1)); sys.argv.pop(0)"
    start += "; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", start, str(site), program, *arguments]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def _with_requirements(names: tuple[str, ...]) -> set[str]:
    """`names` and everything that they require."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needed = (r for r in metadata.requires(name) or () if ";" not in r)
            waiting += [re.split(r"[^A-Za-z0-9._-]", r)[0].lower().replace("_", "-") for r in needed]
    return found
