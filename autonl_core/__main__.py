"""The core without a service: `python -m autonl_core search|evaluate`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autonl_core.host.cpus import let_waiting_threads_sleep
from autonl_core.host.environment import launched_rank
from autonl_core.host.packages import describe_missing, missing_packages
from autonl_core.host.parent import end_with_parent
from autonl_core.host.wake_ups import wake_promptly


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    options.command_line = given
    if launched_rank() is not None:
        end_with_parent()
    if missing := missing_packages():
        print(f"error: packages are not installed: {describe_missing(missing)}", file=sys.stderr)
        return 2
    let_waiting_threads_sleep()
    wake_promptly()
    from autonl_core import local  # loads torch, which reads how its threads wait

    return local.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autonl_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    search = commands.add_parser("search", help="run one search; the folder keeps its run states and its checkpoint")
    search.add_argument("--config", type=Path, required=True, help="YAML with the fields of SearchConfig")
    search.add_argument("--out", type=Path, required=True, help="folder for run states, model and result.json")
    search.add_argument(
        "--device-table",
        type=Path,
        help="of the device that constraints.latency_ms is for, as `autonl device measure` writes it; kept in --out",
    )
    score = commands.add_parser("evaluate", help="score a downloaded checkpoint on a dataset's test split")
    score.add_argument("--checkpoint", type=Path, required=True)
    score.add_argument("--json", action="store_true", help="print JSON")
    which = score.add_mutually_exclusive_group(required=True)
    which.add_argument("--dataset", help="built-in name, folder or zip")
    which.add_argument("--dataset-spec", type=Path, help="file with a DatasetSpec as JSON")
    for command in (search, score):
        command.add_argument("--cache-dir", type=Path, help="where decoded images are kept between runs")
        command.add_argument(
            "--cache-bytes", type=int, default=0, help="limit of that folder; default: as the disk has"
        )
        command.add_argument("--device", default="cpu")
        command.add_argument("--threads", type=int, help="CPU threads at most; default: all cores")
    search.add_argument(
        "--dataset-path",
        help="folder, archive, or s3://BUCKET/PREFIX, which is copied into --out; if the dataset is not built in",
    )
    search.add_argument(
        "--ranks",
        type=int,
        default=1,
        help="processes that compute the search together and share --threads; they divide batch_parts of the config",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
