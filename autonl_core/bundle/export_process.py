"""A process that writes the formats of a bundle. It makes the graph of the network beside the last epochs of a search,
and fills in the weights when they are known.

It makes the same files as `exporting.py` does in the process of the search, from the same checkpoint.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import autonl_core
from autonl_core.bundle.formats import make_formats, prepare_graph
from autonl_core.run.prepared_process import PreparedProcess
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


def export_process() -> PreparedProcess:
    """Not started yet. Prepares for a `Preparation` in JSON; its request: the path of an `ExportRequest` in JSON."""
    root = str(Path(autonl_core.__file__).parents[1])  # the package of this search, wherever Python would look for it
    program = f"import sys; sys.path.insert(0, {root!r}); from autonl_core.bundle.export_process import main; main()"
    return PreparedProcess([sys.executable, "-c", program])


def export_in_process(
    process: PreparedProcess,
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
        done = process.serve([str(path)], meanwhile=meanwhile, still_wanted=still_wanted)
    finally:
        path.unlink()
        images.unlink()
    if done.returncode != 0:
        print(f"the process that exports failed: {done.stderr[-2000:]}", file=sys.stderr)
        return None
    failed: dict[NetworkFormat, str] = json.loads(done.stdout)
    return failed


def main() -> None:
    """The process: prepare, then do what the next line on standard input says, and print which formats failed."""
    preparation = Preparation(**json.loads(*json.loads(sys.stdin.readline())))
    torch.set_num_threads(1)  # of what is computed ahead; the search needs the others
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
