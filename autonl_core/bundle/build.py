"""From a trained network and its checkpoint to a bundle that was scored as it is handed over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.bundle.archive import check_packed, pack
from autonl_core.bundle.card import write_card
from autonl_core.bundle.certificate import certify
from autonl_core.bundle.contents import write_contents, write_sums
from autonl_core.bundle.exporting import save_onnx, save_pt2, save_torchscript, trace
from autonl_core.bundle.files import model
from autonl_core.bundle.latency import machine, measure_latency
from autonl_core.bundle.quantising import calibration_batches, quantise
from autonl_core.bundle.scoring import judge, score_in_clean_process
from autonl_core.errors import AutonlError, VerificationError, is_out_of_memory
from autonl_core.files import sha256_of
from autonl_core.nn.network import Network
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.formats import FORMATS, NETWORK_FORMATS, NetworkFormat
from autonl_core.spec.result import Certificate, FormatParity, ResultFile
from autonl_core.training.evaluate import Score

FOLDER = "bundle"
_OTHER_DEVICE_SHARE = 0.005  # of test images whose class may change from another device to the processor


@dataclass(frozen=True)
class Bundle:
    """What was made and found. `score` is that of the safetensors file, by the process without our code."""

    folder: Path
    score: Score
    parity: Mapping[NetworkFormat, FormatParity]
    certificate: Certificate
    latency_ms: Mapping[str, Mapping[str, float]]
    machine: Mapping[str, Any]


def make_bundle(run: SearchRun, checkpoint: Path, network: Network, score: Score) -> Bundle:
    """Export, certify and score `network`, of which `checkpoint` is the file and `score` what it scored here.

    Raises:
        VerificationError: its graph costs, or its checkpoint scores, something else than it should.
        Interrupted: the search was asked to stop.
    """
    folder = run.work_dir / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copyfile(checkpoint, folder / checkpoint.name)
    write_contents(folder, network, run.dataset, run.data)
    failed = _export(run, folder, network)
    certificate = certify(folder / FORMATS["onnx"].file_name, network.arch, run.config.flops_budget)
    latency_ms = _measure(run, folder, network)
    _keep_only_asked_for(run, folder)
    found = score_in_clean_process(run, folder)
    parity = judge(found, folder, run.config.export.int8_max_drop_points) | failed
    scored = _confirmed(run, score, parity["safetensors"], found)
    for name, of_format in parity.items():
        if of_format.withheld:
            (folder / FORMATS[name].file_name).unlink(missing_ok=True)
    _write_parity(run, folder, parity, found)
    return Bundle(folder, scored, parity, certificate, latency_ms, machine())


def _export(run: SearchRun, folder: Path, network: Network) -> dict[NetworkFormat, FormatParity]:
    """Write the network in every format; returns those that cannot be made. Without ONNX there is no certificate."""
    asked, resolution = run.config.export.formats, network.arch.resolution
    onnx = folder / FORMATS["onnx"].file_name
    fused = model.fuse(model.load(folder / "arch.json", folder / FORMATS["safetensors"].file_name))
    program = trace(fused, resolution)
    _still_wanted(run)
    facts = {
        "arch_id": network.arch.arch_id,
        "classes": list(run.dataset.classes),
        "preprocess": json.loads((folder / "preprocess.json").read_text(encoding="utf-8")),
    }
    save_onnx(onnx, program, facts)
    _still_wanted(run)
    makers: dict[NetworkFormat, Callable[[Path], None]] = {
        "pt2": lambda path: save_pt2(path, program),
        "onnx-int8": lambda path: quantise(onnx, path, _calibration(run)),
        "torchscript": lambda path: save_torchscript(path, fused, resolution),
    }
    failed: dict[NetworkFormat, FormatParity] = {}
    for name, make in makers.items():
        if name in asked:
            with _withheld_if_it_fails(name, failed):
                make(folder / FORMATS[name].file_name)
            _still_wanted(run)
    return failed


def _calibration(run: SearchRun) -> Iterator[NDArray[np.float32]]:
    for batch in calibration_batches(run.loader, run.data.train):
        _still_wanted(run)
        yield batch


@contextmanager
def _withheld_if_it_fails(name: NetworkFormat, failed: dict[NetworkFormat, FormatParity]) -> Iterator[None]:
    """A format that cannot be made is reported with the reason; the others stand."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error) or isinstance(error, OSError | AutonlError):
            raise  # says nothing about the format
        reason = f"it cannot be made: {type(error).__name__}: {str(error)[:300]}"
        failed[name] = FormatParity(None, None, None, None, None, None, withheld=reason)


def _measure(run: SearchRun, folder: Path, network: Network) -> dict[str, dict[str, float]]:
    paths = {name: folder / FORMATS[name].file_name for name in ("onnx", "onnx-int8")}
    there = {name: path for name, path in paths.items() if path.exists()}
    return measure_latency(network.cpu(), there, network.arch.resolution, lambda: _still_wanted(run))


def _keep_only_asked_for(run: SearchRun, folder: Path) -> None:
    for name in NETWORK_FORMATS:
        if name != "safetensors" and name not in run.config.export.formats:
            (folder / FORMATS[name].file_name).unlink(missing_ok=True)


def _confirmed(run: SearchRun, score: Score, clean: FormatParity, found: Mapping[str, Any]) -> Score:
    """The score as the clean process found it; rounding may decide ties, and nothing else."""
    assert clean.correct is not None
    ties: int = found["ties"]
    if found["images"] != score.images:
        raise VerificationError(f"verify.py reads {found['images']} test images, the search {score.images}")
    allowed = ties if run.device.type == "cpu" else max(ties, round(_OTHER_DEVICE_SHARE * score.images))
    if abs(clean.correct - score.correct) > allowed:
        raise VerificationError(
            f"model.safetensors: {clean.correct} of {score.images} test images right in a process of its own, "
            f"{score.correct} before, and only {allowed} may differ"
        )
    return replace(score, correct=clean.correct)


def _write_parity(
    run: SearchRun, folder: Path, parity: Mapping[NetworkFormat, FormatParity], found: Mapping[str, Any]
) -> None:
    """parity.json: what verify.py compares its findings with."""
    reported = {
        "images": found["images"],
        "ties": found["ties"],
        "pixels_sha256": found["pixels_sha256"],
        "int8_max_drop_points": run.config.export.int8_max_drop_points,
        "versions": found["versions"],
        "formats": {name: asdict(of_format) for name, of_format in parity.items()},
    }
    (folder / "parity.json").write_text(json.dumps(reported, indent=1) + "\n", encoding="utf-8")


def pack_bundle(run: SearchRun, bundle: Bundle, network: Network) -> dict[str, ResultFile]:
    """Write the model card, seal all that lies in the folder, zip, read the zip back; returns every file to hand over.

    Raises:
        VerificationError: what the archive holds is not what was scored.
    """
    folder = bundle.folder
    write_card(run, network, bundle)
    sums = write_sums(folder)
    scored = {FORMATS[name].file_name: of for name, of in bundle.parity.items() if of.withheld is None}
    if changed := [name for name, of in scored.items() if sums.get(name) != of.sha256]:
        raise VerificationError(f"{', '.join(changed)}: changed since verify.py scored it")
    archive = run.work_dir / FORMATS["bundle"].file_name
    name = f"autonl-{network.arch.arch_id}"
    pack(folder, archive, name)
    check_packed(archive, name, sums)
    paths = {kind: folder / FORMATS[kind].file_name for kind in NETWORK_FORMATS}
    files: dict[str, ResultFile] = {kind: _file(path) for kind, path in paths.items() if path.exists()}
    return files | {"bundle": _file(archive)}


def _file(path: Path) -> ResultFile:
    return ResultFile(path, sha256_of(path), path.stat().st_size)


def _still_wanted(run: SearchRun) -> None:
    run.still_wanted()
