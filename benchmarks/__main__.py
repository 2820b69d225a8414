"""Every measurement that needs nothing but the machine, each in a process of its own; then the tables of the pages."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    ("search_step",),
    ("light_nl",),
    ("light_nl", "--keep-memory"),
    ("networks",),
    ("networks", "--keep-memory"),
    ("reading",),
    ("reading_memory",),
    ("augmentation",),
    ("tables",),
)


def main() -> int:
    failed = []
    for name, *options in BENCHMARKS:
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"not as good as they have to be: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
