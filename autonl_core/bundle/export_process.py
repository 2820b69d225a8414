"""A process that writes the formats of a bundle. It makes the graph of the network beside the last epochs of a search,
and fills in the weights when they are known.

It makes the same files as `exporting.py` does in the process of the search, from the same checkpoint.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from autonl_core.bundle.formats import make_formats, prepare_graph
from autonl_core.host.parent import end_with_parent
from autonl_core.run.forked_process import ForkedProcess
from autonl_core.spec.formats import NetworkFormat

_CALIBRATION = "calibration.npy"
_REQUEST = "export.json"


@dataclass(frozen=True)
class Preparation:
    """What the process does ahead: the graph of an architecture, as in arch.json, for some formats."""

    arch: Mapping[str, object]
    formats: Sequence[NetworkFormat]

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class ExportRequest:
    """What the process writes, and from what. The images for calibration, (N, 3, R, R), lie in a file beside it.

    Args:
        folder: of the bundle, with arch.json and preprocess.json.
        calibration_batch: how many of the images make a batch.
    """

    folder: str
    checkpoint: str
    formats: Sequence[NetworkFormat]
    metadata: Mapping[str, object]
    calibration_batch: int
    threads: int


def export_in_process(
    process: ForkedProcess,
    request: ExportRequest,
    work_dir: Path,
    calibration: Callable[[], Iterator[NDArray[np.float32]]],
    *,
    meanwhile: Callable[[], None],
    still_wanted: Callable[[], None],
) -> dict[NetworkFormat, str] | None:
    """The formats that could not be made, with the reason; None if the process failed, whatever the cause.

    Args:
        work_dir: for the files that the process needs while it works.
    """
    path, images = work_dir.resolve() / _REQUEST, work_dir.resolve() / _CALIBRATION
    np.save(images, np.concatenate(list(calibration())))
    path.write_text(json.dumps(asdict(request)), encoding="utf-8")
    try:
        printed = process.serve([str(path)], meanwhile=meanwhile, still_wanted=still_wanted)
    finally:
        path.unlink()
        images.unlink()
    try:
        failed: dict[NetworkFormat, str] = json.loads(printed[-1])
    except (IndexError, ValueError):  # it printed nothing, or an error
        print("the process that exports failed:", *printed[-20:], sep="\n", file=sys.stderr)
        return None
    return failed


def run_forked(given: int, answers: int) -> NoReturn:
    """Serve in a process that was just forked: lines come from `given`, and all that is printed goes to `answers`."""
    end_with_parent()
    for end, stream in ((given, 0), (answers, 1), (answers, 2)):
        os.dup2(end, stream)
    try:
        main()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  (printed into the answer; above this there is no caller)
        traceback.print_exc()
    finally:
        os._exit(0)  # what the process above registered for its end is not this one's


def main() -> None:
    """Prepare for the first line on standard input, do what the next one says, and print which formats failed."""
    line = sys.stdin.readline()
    if not line:
        return
    preparation = Preparation(**json.loads(*json.loads(line)))
    graph = prepare_graph(preparation.arch, preparation.formats)
    line = sys.stdin.readline()
    if not line:
        return
    path = Path(*json.loads(line))
    request = ExportRequest(**json.loads(path.read_text(encoding="utf-8")))
    torch.set_num_threads(request.threads)
    images = np.load(path.with_name(_CALIBRATION))
    batch = request.calibration_batch

    def calibration() -> Iterator[NDArray[np.float32]]:
        return (images[start : start + batch] for start in range(0, len(images), batch))

    failed = make_formats(
        Path(request.folder), Path(request.checkpoint), request.formats, request.metadata, calibration, graph=graph
    )
    print(json.dumps(failed))
