"""Safetensors files of equal content have equal bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from autonl_core.nn.safetensors_file import save_tensors

METADATA = {f"key {number}": f'väl"ue\n\x1f{number} 名 \U0001f600' for number in range(20)}
TENSORS = {"b": torch.arange(3.0), "a": torch.ones(2, 2), "c": torch.arange(4, dtype=torch.int64)}


def test_it_reads_back_what_was_written(tmp_path: Path) -> None:
    save_tensors(tmp_path / "w.safetensors", TENSORS, METADATA)
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert file.metadata() == METADATA
        assert set(file.keys()) == set(TENSORS)
        assert all(torch.equal(file.get_tensor(name), value) for name, value in TENSORS.items())


@pytest.mark.long
def test_every_order_and_every_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """The library writes metadata in the order of a hash table, which is another in every process."""
    save_tensors(tmp_path / "here", TENSORS, METADATA)
    backwards = dict(reversed(METADATA.items()))
    save_tensors(tmp_path / "backwards", dict(reversed(TENSORS.items())), backwards)
    code = (
        f"from pathlib import Path; from {__name__} import METADATA, TENSORS, save_tensors; "
        f"[save_tensors(Path({str(tmp_path)!r}) / f'there{{n}}', TENSORS, METADATA) for n in range(4)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
    names = ("here", "backwards", "there0", "there1", "there2", "there3")
    assert len({(tmp_path / name).read_bytes() for name in names}) == 1
