"""Every format is scored by the bundle's own verify.py, in a process that cannot import this package."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from autonl_core.errors import VerificationError, is_out_of_memory
from autonl_core.files import sha256_of
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat
from autonl_core.spec.result import FormatParity
from autonl_core.wording.counts import counted

REFERENCE: NetworkFormat = "safetensors"  # the format that all others are compared with
_FOREIGN = {"autonl_core", "safetensors"}  # packages that users of a bundle do not have
_FINISHED = (0, 1)  # exit codes of verify.py: as reported, and not; before anything was reported the two are equal


@dataclass(frozen=True)
class Tally:
    """What verify.py found for one format; differences are to the reference. With an `error`, all else is void."""

    correct: int
    top1_pct: float
    disagreeing_images: int  # predicted to be of another class
    disagreeing_beyond_ties: int  # of these, those that rounding cannot explain
    max_logit_diff: float
    error: str | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        return cls(**{field.name: data[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class CleanScores:
    """What verify.py found in a bundle, by format; `ties` are images whose class rounding may decide."""

    images: int
    ties: int
    pixels_sha256: str
    versions: Mapping[str, str]  # of the packages that scored
    formats: Mapping[NetworkFormat, Tally]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CleanScores:
        return cls(
            images=data["images"],
            ties=data["ties"],
            pixels_sha256=data["pixels_sha256"],
            versions=data["versions"],
            formats={name: Tally.from_json(tally) for name, tally in data["formats"].items()},
        )


def score_in_clean_process(run: SearchRun, folder: Path, meanwhile: Callable[[], None] = lambda: None) -> CleanScores:
    """Run `verify.py --json` in `folder`. `meanwhile`: called once it has begun.

    Raises:
        RuntimeError, MemoryError: the process failed, which says nothing about the files; the search is retried.
        VerificationError: verify.py loaded a package that its users do not have.
    """
    arguments = ["--json", "--threads", str(torch.get_num_threads())]
    if not (folder / "test.npz").exists():
        arguments += ["--data", run.dataset.location]
    request = [str((folder / "verify.py").resolve()), *arguments]
    done = run.clean_process.serve(request, meanwhile=meanwhile, still_wanted=run.still_wanted)
    if done.returncode not in _FINISHED or not done.stdout:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        failure = MemoryError if reason.startswith("MemoryError") else RuntimeError
        raise failure(f"verify.py failed with exit code {done.returncode}: {reason}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if foreign := _FOREIGN & set(answer["imported"]):
        raise VerificationError(f"verify.py loaded {', '.join(sorted(foreign))}, which its users do not have")
    return CleanScores.from_json(answer)


def judge(scores: CleanScores, folder: Path, int8_max_drop_points: float) -> dict[NetworkFormat, FormatParity]:
    """Parity of every format that was scored; formats that fail are withheld, with the reason.

    Raises:
        MemoryError: memory ran out while a format was scored, which says nothing about the file; the search is retried.
        VerificationError: the safetensors file itself cannot be scored.
    """
    for name, tally in scores.formats.items():
        if tally.error and is_out_of_memory(RuntimeError(tally.error)):
            raise MemoryError(f"{name}, while it was scored: {tally.error}")
    reference = scores.formats.get(REFERENCE)
    if reference is None or reference.error:
        reason = reference.error if reference else "it is missing"
        raise VerificationError(f"model.safetensors cannot be scored: {reason}")
    return {
        name: _parity(
            tally,
            folder / NETWORK_FORMAT_SPECS[name].file_name,
            _lost_too_much(tally, reference, scores.images, int8_max_drop_points)
            if NETWORK_FORMAT_SPECS[name].lossy
            else _disagrees(tally, scores.images),
        )
        for name, tally in scores.formats.items()
    }


def unscored(scores: CleanScores, folder: Path) -> dict[NetworkFormat, FormatParity]:
    """Formats whose file lies in `folder`, but which verify.py did not score: withheld."""
    return {
        name: without_file("verify.py did not score it")
        for name, spec in NETWORK_FORMAT_SPECS.items()
        if name not in scores.formats and (folder / spec.file_name).exists()
    }


def without_file(reason: str) -> FormatParity:
    """Parity of a format that is withheld for `reason` and was never scored."""
    return FormatParity(None, None, None, None, None, None, withheld=reason)


def _parity(tally: Tally, file: Path, withheld: str | None) -> FormatParity:
    size_bytes, sha256 = file.stat().st_size, sha256_of(file)
    if tally.error is not None:
        failed = without_file(f"it cannot be scored: {tally.error}")
        return replace(failed, size_bytes=size_bytes, sha256=sha256)
    return FormatParity(
        correct=tally.correct,
        top1_pct=tally.top1_pct,
        max_logit_diff=tally.max_logit_diff,
        disagreeing_images=tally.disagreeing_images,
        size_bytes=size_bytes,
        sha256=sha256,
        withheld=withheld,
    )


def allowed_drop(images: int, max_drop_points: float) -> int:
    """How many images fewer than PyTorch a lossy format may have right.

    One, wherever any loss is allowed: of fewer than a hundred images it is more than a point, and no evidence.
    """
    return max(math.floor(max_drop_points * images / 100 + 1e-9), int(max_drop_points > 0))


def _lost_too_much(tally: Tally, reference: Tally, images: int, max_drop_points: float) -> str | None:
    """Why a lossy format is withheld; None: it is delivered."""
    lost, allowed = reference.correct - tally.correct, allowed_drop(images, max_drop_points)
    if lost <= allowed:
        return None
    return (
        f"it has {tally.correct:,} of {counted(images, 'test image')} right, {lost:,} fewer than PyTorch; "
        f"export.int8_max_drop_points allows {max_drop_points:g} points, here {counted(allowed, 'image')}"
    )


def _disagrees(tally: Tally, images: int) -> str | None:
    """Why a format that must agree with PyTorch is withheld; None: it is delivered."""
    if not tally.disagreeing_beyond_ties:
        return None
    return (
        f"it predicts another class than PyTorch for {tally.disagreeing_beyond_ties} of {images} test images, "
        f"not due to rounding; logits differ by up to {tally.max_logit_diff:.2g}"
    )
