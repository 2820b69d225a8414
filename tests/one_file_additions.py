"""Proof that a registry's member is one file: a copy of the code gets that file, and a fresh interpreter uses it.

tree = tree_with(tmp_path, "autonl_core/datasets/sources/pack.py", SOURCE)
result, printed = run_search(tree, tmp_path, {"dataset": "pets", ...}, "--dataset-path", ...)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "autonl_core", "cli", "migrations", "store", "worker")
# The least that passes through every phase.
SHORT_SEARCH = {
    "dataset": "digits",
    "supernet": {"epochs": 1, "candidates": 2, "generations": 0, "finalists": 1, "finalist_epochs": 0},
    "train": {"epochs": 1, "warmup_epochs": 0},
    "export": {"formats": []},
}


def tree_with(tmp_path: Path, path: str, source: str) -> Path:
    """A folder below `tmp_path` with a copy of all packages, without their compiled files, and one file more."""
    tree = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
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


def run_search(tree: Path, folder: Path, config: Mapping[str, Any], *arguments: str) -> tuple[dict[str, Any], str]:
    """The result of a search that the command line runs in `folder / "out"`, and what it printed."""
    (folder / "search.yaml").write_text(json.dumps(config))
    command = ["-m", "autonl_core", "search", "--config", str(folder / "search.yaml"), "--threads", "1"]
    printed = output_of(tree, [*command, "--out", str(folder / "out"), *arguments])
    result: dict[str, Any] = json.loads((folder / "out" / "result.json").read_text())
    return result, printed
