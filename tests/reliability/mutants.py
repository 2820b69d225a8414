"""`python -m tests.reliability.mutants [NAME ...]`: shows that the tests notice when a safeguard is missing.

Takes each safeguard of `safeguards.py` out of a copy of the project, alone, and runs the tests that watch it: one of
them has to turn red. Stores are tried on SQLite only, to be quick: what is taken out is the same for both databases.

Exit code 0: every one was noticed; 1: one was not; 2: the script itself found something wrong, and says what.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.reliability.safeguards import SAFEGUARDS, Misfit, Safeguard

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "autonl_core", "store", "tests.servers", "worker")
RUN_S = 200
# Pytest's exit codes; all others say that no test was judged.
GREEN, RED = 0, 1
# A test that ends in one of these has met a program that is broken, and not one that lacks a safeguard.
BROKEN = ("AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "UnboundLocalError")


class Unjudged(Exception):
    """Nothing can be said about a safeguard: the tests did not run as they should."""


@dataclass(frozen=True)
class Verdict:
    """How the tests named for one safeguard went without it; `red` holds why each one that failed did, by its name."""

    red: dict[str, str]
    seconds: float


class Copy:
    """The sources of the project, as they are now, in a folder where they can be changed."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "project"
        self._report = folder / "report.xml"
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():  # one that was deleted is listed until that is committed
                (self._root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self._root / name)
        self._check_imports()

    def run(self, tests: Sequence[str]) -> Verdict:
        """Run these tests, and return those that failed.

        Raises:
            Unjudged: pytest could not run them, or they broke outside of what they test.
        """
        self._report.unlink(missing_ok=True)
        options = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "pytest_timeout",
            "-k",
            "not postgresql",
            f"--junitxml={self._report}",
        ]
        began = time.monotonic()
        done = self._python("-m", "pytest", *options, *tests)
        seconds = time.monotonic() - began
        if done.returncode not in (GREEN, RED):
            raise Unjudged(f"pytest ended with code {done.returncode}:\n{done.stdout}{done.stderr}")
        red: dict[str, str] = {}
        for case in ElementTree.parse(self._report).iter("testcase"):  # noqa: S314  (pytest has just written it)
            failure, error = case.find("failure"), case.find("error")
            if failure is not None:
                red[f"{case.get('classname')}.{case.get('name')}"] = failure.get("message", "").split("\n")[0]
            elif error is not None:
                raise Unjudged(f"{case.get('name')} broke before or after its test:\n{done.stdout}{done.stderr}")
        if any(reason.startswith(BROKEN) for reason in red.values()) or bool(red) != (done.returncode == RED):
            raise Unjudged(f"the tests are red for another reason than a safeguard:\n{done.stdout}{done.stderr}")
        return Verdict(red, seconds)

    def run_without(self, safeguard: Safeguard) -> Verdict:
        """Run the tests that watch `safeguard` while it is missing."""
        file = self._root / safeguard.file
        whole = file.read_text()
        file.write_text(safeguard.remove_from(whole))
        try:
            return self.run(safeguard.tests)
        finally:
            file.write_text(whole)

    def _check_imports(self) -> None:
        """The project is installed where it was copied from: make sure that the tests meet the copy all the same."""
        code = f"import {', '.join(PACKAGES)}\nprint({', '.join(f'{name}.__file__' for name in PACKAGES)}, sep='\\0')"
        done = self._python("-P", "-c", code)  # -P: by PYTHONPATH alone, as where a test starts a process elsewhere
        strays = [path for path in done.stdout.strip().split("\0") if not Path(path).is_relative_to(self._root)]
        if done.returncode or strays:
            raise Unjudged(f"not imported from the copy: {strays}\n{done.stderr}")

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PYTHONPATH": str(self._root),
            # A file that changes twice within a second could be taken for what was compiled before.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Plugins that these tests do not need take longer to load than most of them to run.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
        }
        command = [sys.executable, *arguments]
        try:
            return subprocess.run(
                command, cwd=self._root, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unjudged(f"not done after {RUN_S} s: {' '.join(command)}") from error


def judge(safeguards: Sequence[Safeguard]) -> bool:
    """Take each one out in turn and tell, line by line, what turned red. Whether something did for every one."""
    for safeguard in safeguards:
        safeguard.check(ROOT)
    with tempfile.TemporaryDirectory(prefix="autonl-mutants-") as folder:
        copy = Copy(Path(folder))
        before = copy.run(list(dict.fromkeys(test for safeguard in safeguards for test in safeguard.tests)))
        if before.red:
            raise Unjudged(f"red with every safeguard in place: {before.red}")
        print(f"with every safeguard in place, all is green ({before.seconds:.0f} s)\n")
        noticed = 0
        for safeguard in safeguards:
            verdict = copy.run_without(safeguard)
            noticed += bool(verdict.red)
            print(
                f"{safeguard.name:<22} {'red' if verdict.red else 'NOT NOTICED':<12}{verdict.seconds:>4.0f} s", end=""
            )
            print(f"  {safeguard.file}: {safeguard.removed}")
            for test, reason in _by_function(verdict.red).items():
                print(f"{'':<43}{test}: {reason}")
            sys.stdout.flush()
    print(f"\n{noticed} of {len(safeguards)} missing safeguards were noticed")
    return noticed == len(safeguards)


def _by_function(red: dict[str, str]) -> dict[str, str]:
    """One line for all cases of a test: its first reason, and how many of them failed."""
    reasons: dict[str, list[str]] = {}
    for test, reason in red.items():
        reasons.setdefault(test.partition("[")[0].removeprefix("tests."), []).append(reason)
    return {
        test: found[0][:100] + (f" ({len(found)} cases)" if len(found) > 1 else "") for test, found in reasons.items()
    }


def main() -> int:
    """Judge the safeguards that are named, or all."""
    by_name = {safeguard.name: safeguard for safeguard in SAFEGUARDS}
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(by_name)}")
    names = parser.parse_args().names or list(by_name)
    if unknown := set(names) - set(by_name):
        parser.error(f"no such safeguard: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    try:
        complete = judge([by_name[name] for name in names])
    except (Misfit, Unjudged) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"total {time.monotonic() - began:.0f} s")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
