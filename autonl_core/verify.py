"""Scored = shipped: nothing is a result before a process that never ran the search has confirmed it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from autonl_core.errors import VerificationError
from autonl_core.evaluate import Score
from autonl_core.export import load_checkpoint, weights_sha256
from autonl_core.macs import count_macs, count_params
from autonl_core.network import Network
from autonl_core.profile import count_live_macs, count_live_params, count_torch_macs
from autonl_core.run import SearchRun

TELL_S = 1.0
_REFUSED = 2  # exit code of `evaluate` for a file or data set that is not what it should be


def verify_export(run: SearchRun, checkpoint: Path, network: Network, score: Score) -> None:
    """Raises VerificationError unless the written file costs, weighs and scores what is about to be reported."""
    loaded = load_checkpoint(checkpoint)
    if weights_sha256(loaded.network.state_dict()) != weights_sha256(network.state_dict()):
        raise VerificationError(f"{checkpoint.name}: the weights read back differ from those written")
    analytic, live = count_macs(loaded.arch), count_live_macs(loaded.network, loaded.arch.resolution)
    if analytic != live:
        raise VerificationError(f"{checkpoint.name}: MACs are {analytic} by formula, {live} counted on the network")
    products = count_torch_macs(loaded.network, loaded.arch.resolution)
    if products != live.total - live.se_pool - live.head_pool:
        raise VerificationError(f"{checkpoint.name}: PyTorch counts {products:,} MACs without poolings, we {live}")
    if live.total > run.config.flops_budget:
        raise VerificationError(f"{checkpoint.name}: {live.total:,} MACs exceed the budget {run.config.flops_budget:,}")
    if count_params(loaded.arch) != count_live_params(loaded.network):
        raise VerificationError(f"{checkpoint.name}: the parameters counted differ from those by formula")
    correct = _score_in_clean_process(run, checkpoint)
    if correct != score.correct:
        raise VerificationError(
            f"{checkpoint.name}: {correct} of {score.images} test images right after reloading, {score.correct} before"
        )


def _run_watched(run: SearchRun, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `command`; while it works, tell that the search is alive, and stop if it is asked to."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, errors = process.communicate(timeout=TELL_S)
                    return subprocess.CompletedProcess(command, process.returncode, output, errors)
                run.tell("exporting")
                run.stop_if_asked()
        except BaseException:
            process.kill()
            raise


def _score_in_clean_process(run: SearchRun, checkpoint: Path) -> int:
    """Correct test images, by `python -m autonl_core evaluate` on the same decoded images."""
    command = [sys.executable, "-m", "autonl_core", "evaluate", "--json"]
    command += ["--checkpoint", str(checkpoint), "--device", str(run.device), "--threads", str(torch.get_num_threads())]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as spec:  # many classes would not fit an argument
        json.dump(run.dataset.to_json(), spec)
        spec.flush()
        command += ["--dataset-spec", spec.name, "--cache-dir", str(run.cache_dir)]
        command += ["--cache-bytes", str(run.cache_limit_bytes)]
        done = _run_watched(run, command)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        if done.returncode != _REFUSED:  # it broke, and says nothing about the file: a crash, to be tried again
            broke = MemoryError if reason.startswith("MemoryError") else RuntimeError
            raise broke(f"the process that verifies broke with code {done.returncode}: {reason}")
        raise VerificationError(f"{checkpoint.name} cannot be scored by itself: {reason}")
    return int(json.loads(done.stdout)["correct"])
