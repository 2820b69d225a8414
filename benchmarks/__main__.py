"""Runs every benchmark that needs no input, each in its own process, then updates the tables in docs/."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    ("search_step",),
    ("light_nl",),
    ("light_nl", "--keep-memory"),
    ("networks",),
    ("networks", "--keep-memory"),
    ("inference",),
    ("reading",),
    ("reading_memory",),
    ("augmentation",),
    ("starts_and_idle",),
    ("dataset_check",),
    ("tables",),
)


def main() -> int:
    failed = []
    for name, *options in BENCHMARKS:
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"below target or failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
