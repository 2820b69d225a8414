"""What the programs of a bundle load from their folder leaves no trace: neither files nor a setting of Python's."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import pytest

from autonl_core.bundle.files import verify

FOLDER = Path(verify.__file__).parent


@pytest.mark.parametrize("program", ["predict.py", "verify.py"])
@pytest.mark.parametrize("writes_none", [False, True])
def test_what_is_loaded_leaves_neither_bytecode_nor_another_rule_about_it(
    program: str, writes_none: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (program, "pixels.py"):
        shutil.copy(FOLDER / name, tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", writes_none)
    runpy.run_path(str(tmp_path / program), run_name="loaded")
    assert sys.dont_write_bytecode == writes_none
    assert not (tmp_path / "__pycache__").exists()
