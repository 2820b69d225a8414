"""One search over an added data source, in an added space, by an added algorithm, that delivers an added format.

Each is one file, and nothing else of the code is edited; the tests of each registry show that it is offered.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.autonl_core.datasets.sources import test_added_source as source
from tests.autonl_core.export import test_one_file_format as export_format
from tests.autonl_core.spec.spaces import test_one_file_space as space
from tests.autonl_core.supernet.algorithms import test_one_file_algorithm as algorithm
from tests.one_file_additions import output_of, tree_with

FILES = {
    source.PATH: source.PACK,
    export_format.PATH: export_format.NPZ,
    space.PATH: space.MICRO,
    algorithm.PATH: algorithm.COIN_TOSS,
}
SEARCH = {
    "dataset": "pets",
    "flops_budget": "100k",
    "resolution": 8,
    "search_space": "micro-8",
    "algorithm": "coin-toss",
    "supernet": {"epochs": 1, "batch_size": 16, "candidates": 4, "generations": 0, "finalists": 1},
    "train": {"epochs": 1, "batch_size": 16, "warmup_epochs": 0},
    "export": {"formats": ["npz"]},
}


@pytest.mark.long
def test_a_search_uses_them_all(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, FILES)
    config, out = tmp_path / "search.yaml", tmp_path / "out"
    config.write_text(yaml.safe_dump(SEARCH))
    search = ["-m", "autonl_core", "search", "--dataset-path", str(source.write_pets(tmp_path)), "--threads", "1"]
    printed = output_of(tree, [*search, "--config", str(config), "--out", str(out)])
    assert "tosses 1" in printed  # a metric of the algorithm
    result = json.loads((out / "result.json").read_text())
    assert result["architecture"]["macs"] <= 100_000
    assert (out / result["checkpoint"]).is_file()
    assert result["architecture"]["arch"]["num_classes"] == 2

    assert {"safetensors", "npz", "bundle"} <= result["files"].keys()
    parity = result["parity"]
    assert parity["npz"]["withheld"] is None
    assert parity["npz"]["correct"] == parity["safetensors"]["correct"]
    with zipfile.ZipFile(out / "bundle.zip") as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        assert {"model.npz", "open_npz.py"} <= names.keys()
        card = archive.read(names["README.md"]).decode()
    assert "| npz | " in card
    assert "- `open_npz.py`: how verify.py opens model.npz" in card
