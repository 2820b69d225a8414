"""parity.json: which files verify.py scores and how it opens them, and what they scored when the bundle was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from autonl_core.bundle.scoring import REFERENCE, CleanScores, allowed_drop
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat
from autonl_core.spec.result import FormatParity

PARITY = "parity.json"


def describe_files(folder: Path, formats: Sequence[NetworkFormat]) -> None:
    """Write parity.json without scores: all that verify.py needs to open `formats` and those that are always made.

    The reference format comes first. Formats that verify.py does not know bring the module that opens them.
    """
    files: dict[str, dict[str, str | bool | list[str]]] = {}
    for name in sorted(NETWORK_FORMAT_SPECS, key=lambda name: name != REFERENCE):
        spec = NETWORK_FORMAT_SPECS[name]
        if name in formats or spec.availability == "always":
            if spec.opener_file is not None:
                (folder / spec.opener_file).write_text(spec.opener_source(), encoding="utf-8")
            opener = spec.opener_file or str(spec.opener)
            files[name] = {"file": spec.file_name, "opener": opener, "lossy": spec.lossy, "input": spec.input}
            if spec.extra is not None:
                files[name]["packages"] = list(spec.extra.runtime)
    _write(folder, {"files": files})


def report_scores(
    folder: Path, scores: CleanScores, parity: Mapping[NetworkFormat, FormatParity], int8_max_drop_points: float
) -> None:
    """Add the scores to parity.json."""
    described = json.loads((folder / PARITY).read_text(encoding="utf-8"))
    reported = {
        "images": scores.images,
        "ties": scores.ties,
        "pixels_sha256": scores.pixels_sha256,
        "int8_max_drop_points": int8_max_drop_points,
        "int8_max_drop_images": allowed_drop(scores.images, int8_max_drop_points),
        "versions": scores.versions,
        "formats": {name: asdict(of_format) for name, of_format in parity.items()},
    }
    _write(folder, described | reported)


def _write(folder: Path, content: Mapping[str, object]) -> None:
    (folder / PARITY).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
