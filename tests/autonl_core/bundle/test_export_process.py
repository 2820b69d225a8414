"""Formats that another process writes: the same bytes as in this one, and this one does it if the other fails."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from autonl_core.bundle.clean_process import clean_process
from autonl_core.bundle.export_process import Preparation
from autonl_core.bundle.exporting import export_network
from autonl_core.run.prepared_process import PreparedProcess
from autonl_core.spec.formats import EXPORT_FORMATS, NETWORK_FORMAT_SPECS, NetworkFormat
from tests.autonl_core.bundle.small_bundle import WITHOUT_EXTRAS, Made

# Forks a process that ends before it was asked for anything.
FAILING = """
import os, sys
ends = [int(end) for end in sys.argv[1:]]
if os.fork() == 0:
    os.dup2(ends[1], 1)
    {}
for end in ends:
    os.close(end)
sys.stdin.readline()
"""


def exported(
    made: Made, work_dir: Path, forking: PreparedProcess | None, formats: tuple[NetworkFormat, ...] = WITHOUT_EXTRAS
) -> tuple[dict[str, str], list[str]]:
    """Digests of what was written, and what was called meanwhile. `forking`: None: no process exports but this one."""
    run = made.start_again(work_dir, formats=formats)
    folder = made.copy(work_dir / "copy")
    paths = {name: folder / spec.file_name for name, spec in NETWORK_FORMAT_SPECS.items()}
    for path in paths.values():
        path.unlink(missing_ok=True)
    called: list[str] = []
    if forking is not None:
        forking.start(run.export_process)
        run.export_process.tell([Preparation(made.network.arch.to_json(), formats).to_json()])
    try:
        failed = export_network(run, folder, made.checkpoint, made.network, lambda: called.append("drawn"))
    finally:
        if forking is not None:
            forking.end()
        run.export_process.end()
    assert failed == {}
    assert not list(work_dir.glob("calibration*")) + list(work_dir.glob("export.json"))
    written = {name: path for name, path in paths.items() if path.exists()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in written.items()}, called


@pytest.mark.long
def test_it_writes_the_same_bytes(made: Made, tmp_path: Path) -> None:
    here, nothing = exported(made, tmp_path / "here", None)
    there, called = exported(made, tmp_path / "there", clean_process())
    assert here.keys() == there.keys() == {"safetensors", *WITHOUT_EXTRAS}
    for digests in (here, there):
        del digests["torchscript"]  # numbers its names by what its process traced before, and this one is not fresh
    assert here == there
    assert (nothing, called) == ([], ["drawn"])


@pytest.mark.parametrize(
    "end",
    ["print('no memory', flush=True); os._exit(1)", pytest.param("os.kill(os.getpid(), 9)", marks=pytest.mark.long)],
)
def test_if_it_fails_the_search_exports_itself(
    end: str, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = PreparedProcess([sys.executable, "-c", FAILING.format(end)])
    digests, _ = exported(made, tmp_path, failing, ("onnx",))
    assert digests.keys() == {"onnx", *(set(NETWORK_FORMAT_SPECS) - set(EXPORT_FORMATS))}
    assert "the process that exports failed" in capsys.readouterr().err
