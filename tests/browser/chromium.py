"""The browser of these tests: a Chromium that the system has. `python -m tests.browser.chromium` installs Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "No Chromium: none of chromium, chromium-browser and google-chrome is on the PATH. Install one "
    "(apt-get install chromium), or give its path: make test-browser CHROMIUM=/path/to/chromium"
)
_INSTALL = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core")


class NoChromium(Exception):
    """There is no browser to test in; the message says how to get one."""


def find(environment: Mapping[str, str] = os.environ) -> str:
    """The program: what CHROMIUM names, or the first on the PATH. Raises NoChromium."""
    if named := environment.get("CHROMIUM"):
        if not os.access(named, os.X_OK):
            raise NoChromium(f"CHROMIUM names {named}, which is no program")
        return named
    found = next(filter(None, (shutil.which(name, path=environment.get("PATH", "")) for name in NAMES)), None)
    if found is None:
        raise NoChromium(MISSING)
    return found


def options() -> list[str]:
    """What Chromium is started with: its sandbox refuses root, and machines for tests have no GPU."""
    return ["--disable-gpu", *(["--no-sandbox"] if os.getuid() == 0 else [])]


def install() -> None:
    """Install Debian's Chromium, where this process may. Raises NoChromium."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise NoChromium(MISSING)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update", "-qq"), _INSTALL):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def main() -> int:
    try:
        find()
    except NoChromium as problem:
        if os.environ.get("CHROMIUM"):
            print(problem, file=sys.stderr)
            return 1
        print("Installing Debian's Chromium ...", file=sys.stderr)
        try:
            install()
            find()
        except (NoChromium, subprocess.CalledProcessError) as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
