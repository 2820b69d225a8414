"""A real search of a few seconds, and its result without interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.reliability.service import ROOT

# Real work in every phase, long enough to save several run states in each.
REAL: dict[str, Any] = {
    "dataset": "digits",
    "flops_budget": 400_000,
    "search_space": "tiny",
    "supernet": {"epochs": 2, "candidates": 4, "generations": 1, "finalists": 2, "finalist_epochs": 1},
    "train": {"epochs": 4, "warmup_epochs": 1},
    "export": {"formats": []},
}
SAVE_STEPS = 4


def uninterrupted_weights_sha256(
    folder: Path, config: dict[str, Any] = REAL, dataset_path: Path | str | None = None
) -> str:
    """The SHA-256 of the weights when the core alone runs the search: no service, no resume, one thread as there.

    Args:
        dataset_path: of the dataset; None: it is built in.
    """
    return weights_sha256_in(uninterrupted(folder, config, dataset_path))


def weights_sha256_in(folder: Path) -> str:
    """Of the result that the core alone wrote there."""
    digest: str = json.loads((folder / "result.json").read_text())["weights_sha256"]
    return digest


def uninterrupted(folder: Path, config: dict[str, Any], dataset_path: Path | str | None = None) -> Path:
    """The folder of what the core alone finds; those of other budgets are in it, by their MACs."""
    (folder / "search.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "autonl_core", "search", "--config", str(folder / "search.yaml")]
    if dataset_path is not None:
        command += ["--dataset-path", str(dataset_path)]
    subprocess.run(
        [*command, "--out", str(folder / "out"), "--threads", "1"], cwd=ROOT, check=True, capture_output=True
    )
    return folder / "out"
