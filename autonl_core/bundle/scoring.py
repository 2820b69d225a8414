"""Scored = shipped: the bundle's own verify.py scores every format, in a process that has none of our code."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from autonl_core.errors import VerificationError, is_out_of_memory
from autonl_core.files import sha256_of
from autonl_core.run.search_run import SearchRun
from autonl_core.run.watched_process import run_watched
from autonl_core.spec.formats import FORMATS, NetworkFormat
from autonl_core.spec.result import FormatParity

_FOREIGN = {"autonl_core", "safetensors"}  # what users of a bundle do not have
_FINISHED = (0, 1)  # exit codes of verify.py: as reported, or not, which before anything was reported means nothing


def score_in_clean_process(run: SearchRun, folder: Path) -> dict[str, Any]:
    """What `verify.py --json` in `folder` finds; see there for the fields.

    Raises:
        RuntimeError, MemoryError: the process broke, and says nothing about the files: to be tried again.
    """
    command = [
        sys.executable,
        "-I",
        "-B",
        str(folder / "verify.py"),
        "--json",
        "--threads",
        str(torch.get_num_threads()),
    ]
    if not (folder / "test.npz").exists():
        command += ["--data", run.dataset.location]
    with tempfile.TemporaryDirectory(prefix="autonl-verify-") as elsewhere:
        done = run_watched(run, command, Path(elsewhere))
    if done.returncode not in _FINISHED or not done.stdout:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        broke = MemoryError if reason.startswith("MemoryError") else RuntimeError
        raise broke(f"the process that verifies broke with code {done.returncode}: {reason}")
    found: dict[str, Any] = json.loads(done.stdout)
    if foreign := _FOREIGN & set(found["imported"]):
        raise VerificationError(f"verify.py loaded {', '.join(sorted(foreign))}, which its users do not have")
    return found


def judge(found: Mapping[str, Any], folder: Path, int8_max_drop_points: float) -> dict[NetworkFormat, FormatParity]:
    """Parity of every format that was scored; those that must not be handed over are withheld.

    Raises:
        MemoryError: it ran out while a format was scored, which says nothing about the file: to be tried again.
        VerificationError: the safetensors file itself cannot be scored.
    """
    parity: dict[NetworkFormat, FormatParity] = {}
    for name, tally in found["formats"].items():
        if tally["error"] and is_out_of_memory(RuntimeError(tally["error"])):
            raise MemoryError(f"{name}, scored by itself: {tally['error']}")
        file = folder / FORMATS[name].file_name
        parity[name] = FormatParity(
            correct=None if tally["error"] else tally["correct"],
            top1_pct=None if tally["error"] else tally["top1_pct"],
            max_logit_diff=None if tally["error"] else tally["max_logit_diff"],
            disagreeing_images=None if tally["error"] else tally["disagreeing_images"],
            size_bytes=file.stat().st_size,
            sha256=sha256_of(file),
            withheld=f"it cannot be scored: {tally['error']}" if tally["error"] else None,
        )
    reference = parity.get("safetensors")
    if reference is None or reference.top1_pct is None:
        reason = reference.withheld if reference else "it is not there"
        raise VerificationError(f"model.safetensors cannot be scored by itself: {reason}")
    for name, tally in found["formats"].items():
        reason = parity[name].withheld or _reason(
            name, tally, found["images"], reference.top1_pct, int8_max_drop_points
        )
        parity[name] = replace(parity[name], withheld=reason)
    return parity


def _reason(
    name: NetworkFormat, tally: Mapping[str, Any], images: int, reference_pct: float, int8_max_drop_points: float
) -> str | None:
    """Why a format must not be handed over; None: it may."""
    if name == "onnx-int8":
        lost = reference_pct - tally["top1_pct"]
        if lost > int8_max_drop_points:
            return (
                f"eight bits have a top-1 of {tally['top1_pct']:.2f}%, {lost:.2f} points below PyTorch "
                f"({reference_pct:.2f}%); export.int8_max_drop_points allows {int8_max_drop_points}"
            )
    elif tally["disagreeing_beyond_ties"]:
        return (
            f"it puts {tally['disagreeing_beyond_ties']} of {images} test images into another class than PyTorch, "
            f"without a tie; logits differ by up to {tally['max_logit_diff']:.2g}"
        )
    return None
