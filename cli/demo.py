"""`make demo`: the whole way, on this machine: start the service, search over HTTP, download, re-score, compare.

Ends with 0 only if the downloaded file, loaded by a process that never saw the search, scores what was reported.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from cli.client import Client
from cli.errors import CommandError, DemoError
from cli.live import watch
from cli.program import Program
from cli.render import architecture_drawing, fact_table, pct, result_facts
from cli.searches import fetch_checkpoint
from cli.service import url_of

FOLDER = Path("demo-run")
# Shorter than the defaults: the digits are few, and somebody is watching.
SEARCH: Mapping[str, Any] = {
    "dataset": "digits",
    "flops_budget": "450k",
    "supernet": {"epochs": 6},
    "train": {"epochs": 40},
}
_START_S = 90
_STOP_S = 60
_SCORE_S = 300


@dataclass(frozen=True)
class Outcome:
    """What the demo found, and where its files lie."""

    search: Mapping[str, Any]
    architecture: Mapping[str, Any]
    checkpoint: Path
    rescored: Mapping[str, Any]
    seconds: float

    def disagreements(self) -> list[str]:
        """Everything that is not as reported; empty if all is well."""
        result = self.search["result"]
        found, measured = result["architecture"], self.rescored
        checks = [
            ("correct test images", result["test_correct"], measured["correct"]),
            ("test images", result["test_images"], measured["images"]),
            ("architecture", found["arch_id"], measured["arch_id"]),
        ]
        wrong = [f"{what}: reported {told}, the file gives {got}" for what, told, got in checks if told != got]
        if abs(found["test_top1_pct"] - measured["top1_pct"]) > 1e-9:
            wrong.append(f"top-1: reported {found['test_top1_pct']}, the file gives {measured['top1_pct']}")
        if found["macs"] > result["flops_budget"]:
            wrong.append(f"MACs: {found['macs']:,} is above the budget of {result['flops_budget']:,}")
        return wrong

    def to_json(self) -> dict[str, Any]:
        return {
            "search": self.search,
            "rescored": self.rescored,
            "checkpoint": str(self.checkpoint),
            "seconds": round(self.seconds, 1),
            "disagreements": self.disagreements(),
        }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cli.demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON; progress goes to stderr")
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being told to stop is Ctrl-C: everything is put away
    began = time.monotonic()
    try:
        with _service(console) as url, Client(url) as client:
            outcome = _run(client, console, options.seed, began)
    except CommandError as error:
        console.print(Text(str(error), style="red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        return 130
    if options.json:
        print(json.dumps(outcome.to_json(), indent=2))
    _show(outcome, console)
    return 1 if outcome.disagreements() else 0


@contextmanager
def _service(console: Console) -> Iterator[str]:
    """`autonl up` in the demo's folder, for as long as the demo runs; gives its URL."""
    folder = (FOLDER / "service").resolve()
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--data-dir", str(folder)]
    program = Program("service", command, None, folder / "logs" / "up.log")
    program.start()
    try:
        with console.status("starting broker, database, worker and API"):
            url = _wait_for_url(program, folder)
        console.print(Text(f"The service runs on {url} (open it in a browser to see the search there)"), soft_wrap=True)
        yield url
    finally:
        program.ask_to_stop()
        if not program.stop(time.monotonic() + _STOP_S):
            console.print(Text(f"the service had to be killed; see {program.log_path}", style="yellow"))


def _wait_for_url(program: Program, folder: Path) -> str:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at and program.running:
        if program.pid and (url := url_of(folder, program.pid)):
            return url
        time.sleep(0.1)
    raise DemoError(f"The service did not come up; {program.log_path} ends:", program.last_lines())


def _run(client: Client, console: Console, seed: int, began: float) -> Outcome:
    for state in ("queued", "running"):  # what an interrupted demo left, which this service would go on with first
        for left in client.searches(state=state)["searches"]:
            client.cancel(left["id"])
    started = client.start_search({**SEARCH, "seed": seed})
    console.print(Text(f"POST /searches: {started['id']} accepted, at most {started['flops_budget']:,} MACs\n"))
    search = watch(client, started["id"], console)
    if search["state"] != "succeeded":
        reason = search["error"]["detail"] if search["error"] else "no reason given"
        raise DemoError(f"Search {search['id']} {search['state']}", [reason, f"logs: {FOLDER / 'service'}"])
    checkpoint, _ = fetch_checkpoint(client, search, FOLDER / f"seed-{seed}" / "model.safetensors")
    with console.status("re-scoring the downloaded file in a fresh process"):
        rescored = _score(checkpoint)
    architecture = client.architecture(search["best"]["arch_id"], search["id"])
    outcome = Outcome(search, architecture, checkpoint, rescored, time.monotonic() - began)
    (checkpoint.parent / "outcome.json").write_text(json.dumps(outcome.to_json(), indent=2))
    return outcome


def _score(checkpoint: Path) -> dict[str, Any]:
    """What the file scores on the test split, said by a process that never saw the search."""
    command = [sys.executable, "-m", "autonl_core", "evaluate", "--checkpoint", str(checkpoint)]
    command += ["--dataset", str(SEARCH["dataset"]), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SCORE_S, check=False)
    if done.returncode != 0:
        raise DemoError(f"{checkpoint} cannot be scored", done.stderr.splitlines()[-10:])
    scored: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return scored


def _show(outcome: Outcome, console: Console) -> None:
    wrong = outcome.disagreements()
    rescored = outcome.rescored
    facts = result_facts(outcome.search["result"])
    again = f"{pct(rescored['top1_pct'])} ({rescored['correct']} of {rescored['images']}), in a fresh process"
    verdict = Text("does NOT agree", style="bold red") if wrong else Text("agrees", style="bold green")
    facts += [("re-scored", Text(again + ": ").append_text(verdict)), ("whole demo", f"{outcome.seconds:.1f} s")]
    console.print()
    console.print(
        Panel(fact_table(facts), title=f"search {outcome.search['id']}", title_align="left", border_style="green")
    )
    console.print(architecture_drawing(outcome.architecture))
    console.print()
    for line in wrong:
        console.print(Text(line, style="red"))
    console.print(Text(f"The files are in {outcome.checkpoint.parent.resolve()}"), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
