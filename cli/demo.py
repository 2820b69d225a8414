"""`make demo`: end to end on this machine: start the service, upload photos, search over HTTP, verify the bundle.

    make demo                    400 photos of clothes (examples/clothing.zip), from pretrained weights
    make demo DATASET=digits     the built-in digits, from random weights

Exit code 0 only if every format in the bundle, scored by its own verify.py in a process that cannot import AutoNL,
classifies exactly as many images correctly as the search reported.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from autonl_core.host.interpreter import module_command
from cli.checkpoints import fetch_checkpoint
from cli.client import Client
from cli.errors import CommandError, DemoError
from cli.live import follow_search
from cli.program import Program
from cli.render import architecture_drawing, dataset_report, fact_table
from cli.render_search import result_facts
from cli.service import url_of
from cli.uploads import upload_progress, wait_for_check

FOLDER = Path("demo-run")
PHOTOS = Path("examples/clothing.zip")
# Shorter than the defaults: the datasets are small, and the demo should finish within a minute or two.
SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "clothing": {
        "dataset": "clothing",
        "flops_budget": "48M",
        "resolution": 96,
        "teacher": {"epochs": 6, "resolution": 96},
        "supernet": {"epochs": 1, "candidates": 6, "generations": 0, "finalists": 1},
        "train": {"epochs": 6, "bn_statistics": "fixed"},
    },
    "digits": {
        "dataset": "digits",
        "flops_budget": "450k",
        "train": {"epochs": 40},
    },
}
_START_S = 90
_STOP_S = 60
_VERIFY_S = 300


@dataclass(frozen=True)
class Outcome:
    """What the demo found, and where its files are."""

    search: Mapping[str, Any]
    architecture: Mapping[str, Any]
    bundle: Path
    verified: Mapping[str, Any]  # the output of the bundle's verify.py
    seconds: float

    def disagreements(self) -> list[str]:
        """Every difference between the reported and the verified results; empty if they match."""
        result = self.search["result"]
        differences = list(self.verified["problems"])
        for name, reported in result["parity"].items():
            verified = self.verified["formats"].get(name)
            if reported["withheld"] is None and (verified is None or verified["correct"] != reported["correct"]):
                differences.append(f"{name}: {reported['correct']} correct as reported, but verify.py found {verified}")
        if self.verified["images"] != result["test_images"]:
            images = self.verified["images"]
            differences.append(f"test images: {result['test_images']} as reported, but the bundle has {images}")
        macs, budget_macs = result["architecture"]["macs"], result["flops_budget"]
        if macs > budget_macs:
            differences.append(f"MACs: {macs:,} exceeds the budget of {budget_macs:,}")
        return differences

    def to_json(self) -> dict[str, Any]:
        return {
            "search": self.search,
            "verified": self.verified,
            "bundle": str(self.bundle),
            "seconds": round(self.seconds, 1),
            "disagreements": self.disagreements(),
        }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cli.demo", description=__doc__)
    parser.add_argument("--dataset", choices=list(SEARCHES), default="clothing", help="what to search for")
    parser.add_argument("--seed", type=int, default=0, help="seed of the search")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON; progress goes to stderr")
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops everything cleanly, as Ctrl-C does
    began = time.monotonic()
    try:
        with _service(console) as url, Client(url) as client:
            outcome = _run(client, console, options.dataset, options.seed, began)
    except CommandError as error:
        console.print(Text(str(error), style="red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; no processes are left running")
        return 130
    if options.json:
        print(json.dumps(outcome.to_json(), indent=2))
    _show(outcome, console)
    return 1 if outcome.disagreements() else 0


@contextmanager
def _service(console: Console) -> Iterator[str]:
    """Run `autonl up` in the demo's folder while the context is open; yields its URL."""
    folder = (FOLDER / "service").resolve()
    command = module_command("cli.main", "up", "--port", "0", "--data-dir", str(folder))
    program = Program("service", command, None, folder / "logs" / "up.log")
    program.start()
    try:
        with console.status("Starting broker, database, worker and API"):
            url = _wait_for_url(program, folder)
        console.print(
            Text(f"The service is running at {url} (open it in a browser to follow the search)"), soft_wrap=True
        )
        yield url
    finally:
        program.ask_to_stop()
        if not program.stop(time.monotonic() + _STOP_S):
            console.print(Text(f"The service did not stop and was killed; see {program.log_path}", style="yellow"))


def _wait_for_url(program: Program, folder: Path) -> str:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at and program.running:
        if program.pid and (url := url_of(folder, program.pid)):
            return url
        time.sleep(0.1)
    raise DemoError(f"The service did not start; the end of {program.log_path}:", program.last_lines())


def _run(client: Client, console: Console, dataset: str, seed: int, began: float) -> Outcome:
    for state in ("queued", "running"):  # left by an interrupted demo, and would run first
        for leftover in client.searches(state=state)["searches"]:
            client.cancel(leftover["id"])
    if dataset == "clothing":
        _add_photos(client, console)
    started = client.start_search({**SEARCHES[dataset], "seed": seed})
    console.print(Text(f"POST /searches: {started['id']} accepted, budget {started['flops_budget']:,} MACs\n"))
    search = follow_search(client, started["id"], console)
    if search["state"] != "succeeded":
        reason = search["error"]["detail"] if search["error"] else "no reason given"
        raise DemoError(f"Search {search['id']} is {search['state']}", [reason, f"logs: {FOLDER / 'service'}"])
    folder = FOLDER / f"{dataset}-seed-{seed}"
    archive, _ = fetch_checkpoint(client, search, folder / "bundle.zip", "bundle")
    bundle = _unpack(archive)
    with console.status("Verifying the downloaded bundle with its own verify.py"):
        verified = _verify(bundle)
    architecture = client.architecture(search["best"]["arch_id"], search["id"])
    outcome = Outcome(search, architecture, bundle, verified, time.monotonic() - began)
    (folder / "outcome.json").write_text(json.dumps(outcome.to_json(), indent=2))
    return outcome


def _add_photos(client: Client, console: Console) -> None:
    """Upload the example photos and wait for their check; the service keeps the same archive only once."""
    with upload_progress(console) as progress:
        task = progress.add_task(f"uploading {PHOTOS}", total=PHOTOS.stat().st_size)
        added = client.upload_dataset("clothing", PHOTOS, lambda sent: progress.update(task, completed=sent))
    checked = wait_for_check(added, client.dataset, console)
    if checked["state"] != "ready":
        console.print(dataset_report(checked))
        raise DemoError(f"Dataset clothing is {checked['state']}")
    counts = f"{checked['train_images']} training and {checked['test_images']} test images"
    console.print(Text(f"POST /datasets: clothing is ready, {counts} of {len(checked['classes'])} classes"))


def _unpack(archive: Path) -> Path:
    """Unpack a bundle next to its archive, replacing an older copy; returns the unpacked folder."""
    with zipfile.ZipFile(archive) as content:
        folder = archive.parent / content.namelist()[0].partition("/")[0]
        shutil.rmtree(folder, ignore_errors=True)
        content.extractall(archive.parent)
    return folder


def _verify(bundle: Path) -> dict[str, Any]:
    """Run the bundle's verify.py the way its recipient would, without AutoNL importable; returns its JSON output."""
    command = [sys.executable, "-I", "verify.py", "--json"]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, timeout=_VERIFY_S, check=False)
    try:
        verified: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise DemoError(f"{bundle} could not be verified", done.stderr.splitlines()[-10:]) from error
    return verified


def _show(outcome: Outcome, console: Console) -> None:
    differences = outcome.disagreements()
    formats = outcome.verified["formats"]
    scored = ", ".join(f"{name} {score['correct']}" for name, score in formats.items())
    verdict = Text("NOT as reported", style="bold red") if differences else Text("as reported", style="bold green")
    facts = result_facts(outcome.search["result"])
    facts += [
        ("verified", Text(f"{scored} of {outcome.verified['images']} correct: ").append_text(verdict)),
        ("total time", f"{outcome.seconds:.1f} s"),
    ]
    console.print()
    console.print(
        Panel(fact_table(facts), title=f"search {outcome.search['id']}", title_align="left", border_style="green")
    )
    console.print(architecture_drawing(outcome.architecture))
    console.print()
    for difference in differences:
        console.print(Text(difference, style="red"))
    folder = outcome.bundle.resolve()
    console.print(Text(f"The bundle is in {folder}; open its report.html, or run its verify.py"), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
