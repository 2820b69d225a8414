"""Small modules and functions: what does not fit on a screen is two things."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "autonl", "autonl_core", "benchmarks", "cli", "migrations", "store", "telemetry", "worker")
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 300, 40
CORE_MODULES = 6  # of the core itself, beside its packages
STANDS_ALONE = "autonl_core/bundle/files/verify.py"  # one file that users get, without any module of ours


def files() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {name_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files()}
    assert {name: length for name, length in lengths.items() if length > MAX_MODULE_LINES} == {
        STANDS_ALONE: lengths[STANDS_ALONE]
    }


def test_no_function_is_longer_than_40_lines() -> None:
    """From its `def` to its last line, docstring and comments included. Migrations are lists of columns."""
    long = {}
    for file in files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES and "migrations/versions" not in name_of(file):
                    long[f"{name_of(file)}::{node.name}"] = length
    assert long == {}


def test_the_core_has_few_modules_beside_its_packages() -> None:
    assert len(list((ROOT / "autonl_core").glob("*.py"))) <= CORE_MODULES
