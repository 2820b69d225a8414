"""Is the search worth its compute?

python -m benchmarks.search_quality tabular --seeds 50
python -m benchmarks.search_quality quick --dataset cifar.zip --dataset clothing.zip --out scratch
python -m benchmarks.search_quality verdict --tier quick

`tabular` takes seconds. `quick` takes hours and judges on training images that it holds out; `full`, default searches,
and `thorough`, searches that spend more on searching, take days and judge on the test split. Interrupted, they go on
with the run that was interrupted when the same command is given again; several processes can share the work by --arms
or --seeds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from autonl_core.host.memory import keep_freed_memory
from benchmarks.harness import RESULTS, say
from benchmarks.search_quality.arms import ARMS
from benchmarks.search_quality.runs import TIERS, make, read
from benchmarks.search_quality.tabular import print_shares
from benchmarks.search_quality.verdicts import accuracy_table, verdict_table


def main() -> int:
    options = _parser().parse_args()
    if options.command == "tabular":
        print_shares(options.seeds)
        return 0
    tier = TIERS[options.tier if options.command == "verdict" else options.command]
    file = options.results or RESULTS / f"search_quality_{tier.name}.jsonl"
    if options.command != "verdict":
        torch.set_num_threads(options.threads)
        keep_freed_memory()
        make(tier, options.dataset, options.arms, options.seeds or tier.seeds, options.out, file, options.device)
    results = read(file, tier)
    say(accuracy_table(results))
    say(verdict_table(results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tabular").add_argument("--seeds", type=int, default=50)
    for name in TIERS:
        making = commands.add_parser(name)
        making.add_argument("--dataset", type=Path, action="append", required=True, help="zip; repeatable")
        making.add_argument("--out", type=Path, required=True, help="folder for decoded images")
        making.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
        making.add_argument("--seeds", nargs="+", type=int, help="by default those of the tier")
        making.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
        making.add_argument("--threads", type=int, default=1)
        making.add_argument("--results", type=Path, help="file of results, by default the one that is committed")
    verdict = commands.add_parser("verdict")
    verdict.add_argument("--tier", choices=list(TIERS), default="quick")
    verdict.add_argument("--results", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
