"""From a trained network and its checkpoint to a bundle that was scored exactly as it is delivered."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from autonl_core.bundle.archive import check_packed, pack
from autonl_core.bundle.bundle import Bundle
from autonl_core.bundle.card import write_card
from autonl_core.bundle.certificate import certify
from autonl_core.bundle.contents import write_contents, write_sums
from autonl_core.bundle.exporting import export_network
from autonl_core.bundle.formats import CERTIFIED
from autonl_core.bundle.latency import machine, measure_latency
from autonl_core.bundle.latency_limit import check_latency
from autonl_core.bundle.parity import describe_files, report_scores
from autonl_core.bundle.scoring import REFERENCE, CleanScores, judge, score_in_clean_process, unscored
from autonl_core.errors import VerificationError
from autonl_core.files import sha256_of
from autonl_core.nn.network import Network
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.file_names import network_name
from autonl_core.spec.formats import FORMATS, NETWORK_FORMAT_SPECS, NetworkFormat
from autonl_core.spec.result import FormatParity, ResultFile
from autonl_core.training.evaluate import Score

FOLDER = "bundle"
_OTHER_DEVICE_SHARE = 0.005  # of test images whose class may differ between another device and the CPU


def make_bundle(
    run: SearchRun,
    checkpoint: Path,
    network: Network,
    score: Score,
    meanwhile: Callable[[], None] = lambda: None,
) -> Bundle:
    """Export, certify and score `network`; `checkpoint` is its file, and `score` what it scored in this process.

    Args:
        meanwhile: called each time when another process works and this one would wait.

    Raises:
        VerificationError: its graph costs, or its checkpoint scores, something else than it should.
        Interrupted: the search was asked to stop.
    """
    folder, asked_for = run.work_dir / FOLDER, run.config.export

    def still_wanted() -> None:
        _still_wanted(run)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write_contents(folder, network, run.dataset, run.data)
    describe_files(folder, asked_for.formats)
    failed = export_network(run, folder, checkpoint, network, meanwhile)
    run.reporter.ended(0.5)
    certified, constraints = folder / FORMATS[CERTIFIED].file_name, run.config.constraints
    certificate = certify(certified, network.arch, run.config.flops_budget, constraints)
    within = check_latency(certified, network.arch, constraints, still_wanted)
    latencies = measure_latency(network.cpu(), _timed(folder), network.arch.resolution, still_wanted)
    if CERTIFIED not in asked_for.formats:
        certified.unlink()
    run.reporter.ended(0.6)
    scores = score_in_clean_process(run, folder, meanwhile)
    parity = judge(scores, folder, asked_for.int8_max_drop_points) | unscored(scores, folder) | failed
    confirmed = _confirmed(run.device, score, parity[REFERENCE], scores)
    _remove_withheld(folder, parity)
    report_scores(folder, scores, parity, asked_for.int8_max_drop_points)
    return Bundle(folder, confirmed, parity, certificate, latencies, machine(), scores.versions, latency_check=within)


def pack_bundle(run: SearchRun, bundle: Bundle, network: Network) -> dict[str, ResultFile]:
    """Write model card and checksums, zip the folder, read the zip back; returns every file to deliver, by format.

    Raises:
        VerificationError: what the archive holds is not what was scored.
    """
    folder = bundle.folder
    delivered = {name: of_format for name, of_format in bundle.parity.items() if of_format.withheld is None}
    scored = {FORMATS[name].file_name: of_format.sha256 for name, of_format in delivered.items()}
    if changed := [name for name, sha256 in scored.items() if sha256_of(folder / name) != sha256]:
        raise VerificationError(f"{', '.join(changed)}: changed since verify.py scored it")
    write_card(run, network, bundle)
    sums = write_sums(folder)
    archive = run.work_dir / FORMATS["bundle"].file_name
    name = network_name(run.dataset.name, network.arch.arch_id)
    pack(folder, archive, name)
    check_packed(archive, name, sums)
    paths = {kind: folder / spec.file_name for kind, spec in NETWORK_FORMAT_SPECS.items()}
    files: dict[str, ResultFile] = {kind: _file(path) for kind, path in paths.items() if path.exists()}
    return files | {"bundle": _file(archive)}


def _timed(folder: Path) -> dict[NetworkFormat, Path]:
    """The files whose latency is measured."""
    paths = {name: folder / spec.file_name for name, spec in NETWORK_FORMAT_SPECS.items() if spec.latency is not None}
    return {name: path for name, path in paths.items() if path.exists()}


def _confirmed(device: torch.device, score: Score, clean: FormatParity, scores: CleanScores) -> Score:
    """The score as the clean process found it; it may differ from `score` where rounding decides, and nowhere else."""
    assert clean.correct is not None
    if scores.images != score.images:
        raise VerificationError(f"verify.py reads {scores.images} test images, the search {score.images}")
    allowed = scores.ties if device.type == "cpu" else max(scores.ties, round(_OTHER_DEVICE_SHARE * score.images))
    if abs(clean.correct - score.correct) > allowed:
        raise VerificationError(
            f"model.safetensors: {clean.correct} of {score.images} test images correct in a process of its own, "
            f"{score.correct} in the search; they may differ by {allowed}"
        )
    return replace(score, correct=clean.correct)


def _remove_withheld(folder: Path, parity: Mapping[NetworkFormat, FormatParity]) -> None:
    for name, of_format in parity.items():
        if of_format.withheld:
            spec = NETWORK_FORMAT_SPECS[name]
            (folder / spec.file_name).unlink(missing_ok=True)
            if spec.opener_file is not None:
                (folder / spec.opener_file).unlink(missing_ok=True)


def _file(path: Path) -> ResultFile:
    return ResultFile(path, sha256_of(path), path.stat().st_size)


def _still_wanted(run: SearchRun) -> None:
    """Report progress. Raises Interrupted if the search was asked to stop."""
    run.still_wanted()
