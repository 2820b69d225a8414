"""Whole searches of `cuda_path`: one to its verified bundle, one that is killed and goes on, some that are paused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from autonl_core.datasets.scan import find_dataset
from autonl_core.errors import Interrupted
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.run.host_options import HostOptions
from autonl_core.search import run_search
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.macs import count_macs
from autonl_core.spec.progress import ArchitectureRecord, Phase, Progress, SavedState, Silent, StopRequest
from benchmarks.device_part import Found, Setting
from benchmarks.harness import say

SEARCH: Mapping[str, Any] = {
    "dataset": "digits",
    "flops_budget": "450k",
    "supernet": {"epochs": 4, "candidates": 16, "generations": 1, "finalists": 2},
    "train": {"epochs": 30},
    "export": {"formats": ["onnx", "onnx-int8", "pt2", "torchscript"]},
}
PAUSED: Mapping[str, Any] = {
    "dataset": "digits",
    "flops_budget": 400_000,
    "supernet": {"epochs": 1, "candidates": 8, "generations": 1, "finalists": 2},
    "train": {"epochs": 2},
}
STOPS: Sequence[tuple[Phase, int]] = (("searching", 12), ("deriving", 3), ("training", 5))  # phase, times asked
LEAST_TOP1_PCT = 85.0  # both devices reach 95% or more
OTHER_DEVICE_IMAGES = 2  # of the test split that may be answered otherwise in TF32
_TERMINATED_AFTER = 2  # run states
_STEP_S = 0.1


def check_whole_search(setting: Setting) -> Found:
    """A search by the command line to its bundle, whose verify.py runs once more, and whose checkpoint is scored."""
    out = setting.folder / "whole"
    seconds, lines = _search(setting, out)
    result = json.loads((out / "result.json").read_text())
    verified = _verify(out / "bundle")
    top1_pct: float = result["architecture"]["test_top1_pct"]
    scored = _answer(_core("evaluate", "--checkpoint", out / "model.safetensors", "--dataset", "digits", "--json"))
    on_device = _answer(
        _core("evaluate", "--checkpoint", out / "model.safetensors", "--dataset", "digits", "--json", *_on(setting))
    )
    withheld = {name: parity["withheld"] for name, parity in result["parity"].items() if parity["withheld"]}
    problems = [f"withheld: {name}: {reason}" for name, reason in withheld.items()]
    problems += [f"verify.py: {problem}" for problem in verified["problems"]]
    if set(verified["formats"]) != set(result["parity"]):
        problems.append(f"verify.py scored {sorted(verified['formats'])} of {sorted(result['parity'])}")
    if top1_pct < LEAST_TOP1_PCT:
        problems.append(f"top-1 is {top1_pct:.2f}%, below {LEAST_TOP1_PCT}%")
    if scored["correct"] != result["test_correct"]:
        problems.append(f"the checkpoint has {scored['correct']} images correct, reported are {result['test_correct']}")
    if abs(on_device["correct"] - scored["correct"]) > OTHER_DEVICE_IMAGES:
        problems.append(f"the checkpoint has {on_device['correct']} correct here, {scored['correct']} on the CPU")
    if any(line.startswith("[report_failed]") for line in lines):
        problems.append("there is no report")
    facts = {
        "search_s": seconds,
        "seconds_by_phase": result["seconds_by_phase"],
        "top1_pct": top1_pct,
        "correct": {"reported": result["test_correct"], "cpu": scored["correct"], "device": on_device["correct"]},
        "formats": {name: tally["correct"] for name, tally in verified["formats"].items()},
        "weights_sha256": result["weights_sha256"],
    }
    say(f"[whole_search] {json.dumps(facts)}")
    return Found(facts, tuple(problems))


def check_interrupted_search(setting: Setting) -> Found:
    """The same search, ended by SIGTERM after a few run states, and called again."""
    out = setting.folder / "interrupted"
    killed_after_s = _terminate_after_states(setting, out)
    seconds, lines = _search(setting, out)
    result = json.loads((out / "result.json").read_text())
    inexact = any(line.startswith(f"[{EventKind.INEXACT_RESUME}]") for line in lines)
    problems = []
    if not any(line.startswith(f"[{EventKind.RESUMED}]") for line in lines):
        problems.append("the search began again")
    if inexact != (setting.device != "cpu"):
        problems.append(f"inexact_resume was {'' if inexact else 'not '}reported")
    if result["architecture"]["test_top1_pct"] < LEAST_TOP1_PCT:
        problems.append(f"top-1 is {result['architecture']['test_top1_pct']:.2f}%")
    whole = setting.folder / "whole" / "result.json"
    same = json.loads(whole.read_text())["weights_sha256"] == result["weights_sha256"] if whole.exists() else None
    if setting.device == "cpu" and same is False:
        problems.append("its weights are not those of the uninterrupted search")
    facts = {
        "killed_after_s": killed_after_s,
        "resumed_s": seconds,
        "top1_pct": result["architecture"]["test_top1_pct"],
        "inexact_resume": inexact,
        "same_weights": same,
    }
    say(f"[interrupted_search] {json.dumps(facts)}")
    return Found(facts, tuple(problems))


def check_stops(setting: Setting) -> Found:
    """Searches by each algorithm, paused in one phase after the other: each stop keeps the best, each start goes on."""
    problems: list[str] = []
    facts: dict[str, object] = {}
    for algorithm in ("autonl", "autonl-paper"):
        states: list[SavedState] = []
        for number, (phase, asked) in enumerate(STOPS):
            folder = setting.folder / f"{algorithm}-{number}"
            listener = _Pausing(phase, asked, states)
            said = _pause(setting, SearchConfig.model_validate({**PAUSED, "algorithm": algorithm}), folder, listener)
            problems += [f"{algorithm}, {phase}: {problem}" for problem in (*said, *listener.problems(setting))]
            facts[f"{algorithm}, {phase}"] = listener.kept_top1_pct
            say(f"[stops] {algorithm}, {phase}: kept {listener.kept_top1_pct}%, {listener.events}")
    return Found(facts, tuple(problems))


def _pause(setting: Setting, config: SearchConfig, folder: Path, listener: _Pausing) -> list[str]:
    """Run `config` from the listener's states until the listener pauses it; returns what is wrong."""
    folder.mkdir()
    host = HostOptions(device=setting.device, cache_dir=setting.folder / "cache")
    earlier = list(listener.states)
    dataset = find_dataset(config.dataset)
    try:
        run_search(config, dataset, folder, sink=listener, stop=listener, resume_from=earlier, host=host)
    except Interrupted:
        return []
    return ["it was not stopped"]


class _Pausing(Silent):
    """Asks for a pause when `phase` has asked `asked` times; keeps what it hears. `states` are those so far."""

    def __init__(self, phase: Phase, asked: int, states: list[SavedState]) -> None:
        self.states, self.events = states, list[EventKind]()
        self.kept_top1_pct: float | None = None
        self._phase, self._left, self._now = phase, asked, "preparing"
        self._resumes = bool(states)

    def progress(self, progress: Progress) -> None:
        self._now = progress.phase

    def event(self, kind: EventKind, detail: Mapping[str, Any]) -> None:
        self.events.append(kind)
        if kind == EventKind.BEST_NOT_KEPT:
            say(f"[stops] {detail}")

    def saved(self, state: SavedState) -> None:
        self.states.append(state)

    def best_kept(self, record: ArchitectureRecord, checkpoint: Path) -> None:
        assert count_macs(load_checkpoint(checkpoint).arch).total == record.macs
        self.kept_top1_pct = record.val_top1_pct

    def stop_requested(self) -> StopRequest | None:
        self._left -= self._now == self._phase
        return "pause" if self._left == 0 else None

    def problems(self, setting: Setting) -> list[str]:
        """What is wrong with the attempt that it listened to."""
        found = [] if self.kept_top1_pct is not None else ["the best so far was not kept"]
        expected = self._resumes and setting.device != "cpu"
        if (EventKind.INEXACT_RESUME in self.events) != expected:
            found.append(f"inexact_resume was {'not ' if expected else ''}reported")
        return found


def _core(*arguments: object) -> list[str]:
    return [sys.executable, "-u", "-m", "autonl_core", *map(str, arguments)]


def _on(setting: Setting) -> tuple[str, str]:
    return ("--device", setting.device)


def _search_command(setting: Setting, out: Path) -> list[str]:
    out.mkdir(exist_ok=True)
    config = out / "search.yaml"
    config.write_text(yaml.safe_dump(dict(SEARCH)))
    cache = setting.folder / "cache"
    return _core("search", "--config", config, "--out", out, "--cache-dir", cache, *_on(setting))


def _search(setting: Setting, out: Path) -> tuple[float, list[str]]:
    """Run the search to its end: its seconds, and the lines it printed."""
    began = time.monotonic()
    done = subprocess.run(_search_command(setting, out), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the search ended with exit code {done.returncode}: {done.stdout[-2000:]}")
    return round(time.monotonic() - began, 1), done.stdout.splitlines()


def _terminate_after_states(setting: Setting, out: Path) -> float:
    """Begin the search, and end it by SIGTERM once it has a few run states; returns its seconds."""
    command, began = _search_command(setting, out), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    states = out / "states.json"
    while process.poll() is None:
        if states.exists() and json.loads(states.read_text())[-1]["step"] >= _TERMINATED_AFTER:
            process.send_signal(signal.SIGTERM)
            process.wait()
            return round(time.monotonic() - began, 1)
        time.sleep(_STEP_S)
    raise RuntimeError(f"the search ended with exit code {process.returncode} before it had {_TERMINATED_AFTER} states")


def _verify(bundle: Path) -> dict[str, Any]:
    """What verify.py finds in a bundle; an exit code of 1 says that something differs."""
    done = subprocess.run(
        [sys.executable, "verify.py", "--json"], cwd=bundle, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"verify.py ended with exit code {done.returncode}: {done.stderr[-1000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _answer(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
