"""The process for verify.py: loaded ahead, free of this package, and gone afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from autonl_core.bundle.clean_process import clean_process
from autonl_core.run.prepared_process import PreparedProcess


@pytest.fixture
def clean() -> Iterator[PreparedProcess]:
    process = clean_process()
    yield process
    process.end()


def nothing() -> None: ...


@pytest.mark.long
def test_a_script_runs_as_if_python_had_started_it(clean: PreparedProcess, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys\n"
        "print(json.dumps([__name__, __file__, sys.argv, os.listdir(), sorted(sys.modules)]))\n"
        "sys.exit(1)\n"
    )
    clean.start()
    done = clean.serve([str(script), "--json"], meanwhile=nothing, still_wanted=nothing)
    name, file, arguments, folder, modules = json.loads(done.stdout)
    assert (name, file, arguments) == ("__main__", str(script), [str(script), "--json"])
    assert done.returncode == 1
    assert folder == []
    assert {"torch", "onnxruntime", "torch.export.pt2_archive"} <= set(modules)  # loaded by now
    assert not {name.partition(".")[0] for name in modules} & {"autonl_core", "safetensors"}


@pytest.mark.long
def test_what_the_script_says_of_an_error_is_returned(clean: PreparedProcess, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("raise ValueError('no such file')")
    done = clean.serve([str(tmp_path / "script.py")], meanwhile=nothing, still_wanted=nothing)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ValueError: no such file")
