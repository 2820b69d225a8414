"""Proof that a registry's member is one file: a copy of the code gets that file, and a fresh interpreter uses it.

tree = tree_with(tmp_path, {"autonl_core/datasets/sources/pack.py": PACK})
print(output_of(tree, ["-m", "cli.main", "search", "--help"]))
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "autonl_core", "cli", "migrations", "store", "worker")


def tree_with(tmp_path: Path, files: Mapping[str, str]) -> Path:
    """A folder below `tmp_path` with a copy of all packages, without their compiled kernels, and more `files`.

    Bytecode is copied too: it stays valid, because copies keep the time of the source.
    """
    tree = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("*.nbi", "*.nbc"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    for path, source in files.items():
        (tree / path).write_text(source)
    return tree


def run_python(
    tree: Path,
    code_or_args: str | Sequence[str],
    *,
    env: dict[str, str] | None = None,
    timeout_s: float = 100,
) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter does that imports the packages from `tree`, and from nowhere else.

    Args:
        tree: from `tree_with`; also the working directory.
        code_or_args: source text, or arguments such as `["-m", "autonl_core", "search"]`.
        env: set in addition to this process's environment.
        timeout_s: after which `subprocess.TimeoutExpired` is raised.
    """
    arguments = ["-c", code_or_args] if isinstance(code_or_args, str) else list(code_or_args)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, **(env or {}), "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def output_of(tree: Path, code_or_args: str | Sequence[str], *, env: dict[str, str] | None = None) -> str:
    """What `run_python` prints to standard output; it must succeed."""
    done = run_python(tree, code_or_args, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
