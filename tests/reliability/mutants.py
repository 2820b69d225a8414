"""`python -m tests.reliability.mutants [NAME ...]`: verifies that the tests fail when a safeguard is missing.

Removes each safeguard of `safeguards.py` in turn from a copy of the project and runs the tests that cover it: at least
one has to fail. Stores run on SQLite only, for speed: the code removed is the same for both databases.

Exit code 0: every removal was detected; 1: one was not; 2: the check itself failed, with a message.
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
# Pytest's exit codes; all others mean that the tests did not run properly.
GREEN, RED = 0, 1
# A test that fails with one of these ran a broken program, not one that lacks a safeguard.
BROKEN = ("AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "UnboundLocalError")


class Inconclusive(Exception):
    """The tests did not run properly, so nothing is known about a safeguard."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of the tests of one safeguard without it; `red` maps each failed test to its reason."""

    red: dict[str, str]
    seconds: float


class Copy:
    """A modifiable copy of the working tree."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "project"
        self._report = folder / "report.xml"
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():  # a deleted file stays listed until its deletion is committed
                (self._root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self._root / name)
        self._check_imports()

    def run(self, tests: Sequence[str]) -> Verdict:
        """Run these tests and return those that failed.

        Raises:
            Inconclusive: pytest could not run them, or they failed for an unrelated reason.
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
            raise Inconclusive(f"pytest exited with code {done.returncode}:\n{done.stdout}{done.stderr}")
        red: dict[str, str] = {}
        for case in ElementTree.parse(self._report).iter("testcase"):  # noqa: S314  (pytest has just written it)
            failure, error = case.find("failure"), case.find("error")
            if failure is not None:
                red[f"{case.get('classname')}.{case.get('name')}"] = failure.get("message", "").split("\n")[0]
            elif error is not None:
                raise Inconclusive(f"{case.get('name')} failed during setup or teardown:\n{done.stdout}{done.stderr}")
        if any(reason.startswith(BROKEN) for reason in red.values()) or bool(red) != (done.returncode == RED):
            raise Inconclusive(
                f"the tests fail for a reason other than the missing safeguard:\n{done.stdout}{done.stderr}"
            )
        return Verdict(red, seconds)

    def run_without(self, safeguard: Safeguard) -> Verdict:
        """Run the tests that cover `safeguard` while it is removed."""
        file = self._root / safeguard.file
        whole = file.read_text()
        file.write_text(safeguard.remove_from(whole))
        try:
            return self.run(safeguard.tests)
        finally:
            file.write_text(whole)

    def _check_imports(self) -> None:
        """The original is installed in the environment: make sure that the tests import the copy instead."""
        code = f"import {', '.join(PACKAGES)}\nprint({', '.join(f'{name}.__file__' for name in PACKAGES)}, sep='\\0')"
        done = self._python("-P", "-c", code)  # -P: found through PYTHONPATH alone, as in processes that tests start
        strays = [path for path in done.stdout.strip().split("\0") if not Path(path).is_relative_to(self._root)]
        if done.returncode or strays:
            raise Inconclusive(f"not imported from the copy: {strays}\n{done.stderr}")

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PYTHONPATH": str(self._root),
            # A file that changes twice within a second could match older cached bytecode.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Loading plugins that these tests do not need takes longer than most of the tests.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
        }
        command = [sys.executable, *arguments]
        try:
            return subprocess.run(
                command, cwd=self._root, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Inconclusive(f"not done after {RUN_S} s: {' '.join(command)}") from error


def judge(safeguards: Sequence[Safeguard]) -> bool:
    """Remove each one in turn and print which tests failed; returns whether every removal was detected."""
    for safeguard in safeguards:
        safeguard.check(ROOT)
    with tempfile.TemporaryDirectory(prefix="autonl-mutants-") as folder:
        copy = Copy(Path(folder))
        before = copy.run(list(dict.fromkeys(test for safeguard in safeguards for test in safeguard.tests)))
        if before.red:
            raise Inconclusive(f"failing with every safeguard in place: {before.red}")
        print(f"with every safeguard in place, all tests pass ({before.seconds:.0f} s)\n")
        detected = 0
        for safeguard in safeguards:
            verdict = copy.run_without(safeguard)
            detected += bool(verdict.red)
            print(
                f"{safeguard.name:<22} {'red' if verdict.red else 'NOT DETECTED':<12}{verdict.seconds:>4.0f} s", end=""
            )
            print(f"  {safeguard.file}: {safeguard.removed}")
            for test, reason in _by_function(verdict.red).items():
                print(f"{'':<43}{test}: {reason}")
            sys.stdout.flush()
    print(f"\n{detected} of {len(safeguards)} missing safeguards were detected")
    return detected == len(safeguards)


def _by_function(red: dict[str, str]) -> dict[str, str]:
    """One line for all cases of a test: its first reason, and the number of failed cases."""
    reasons: dict[str, list[str]] = {}
    for test, reason in red.items():
        reasons.setdefault(test.partition("[")[0].removeprefix("tests."), []).append(reason)
    return {
        test: found[0][:100] + (f" ({len(found)} cases)" if len(found) > 1 else "") for test, found in reasons.items()
    }


def main() -> int:
    """Check the named safeguards, by default all of them."""
    by_name = {safeguard.name: safeguard for safeguard in SAFEGUARDS}
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(by_name)}")
    names = parser.parse_args().names or list(by_name)
    if unknown := set(names) - set(by_name):
        parser.error(f"no such safeguard: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    try:
        complete = judge([by_name[name] for name in names])
    except (Misfit, Inconclusive) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"total {time.monotonic() - began:.0f} s")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
