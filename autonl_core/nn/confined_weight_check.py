"""The confined process of a weight check: `python -m autonl_core.nn.confined_weight_check`.

The task arrives as one line on its standard input: the path of the file and what its uploader states, as JSON. It sends
how far it is, and the result: what the file holds, or why it cannot be used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autonl_core.host.messages import MessagePipe, answer_task
from autonl_core.nn.weight_check import WeightsRefused, check_weights
from autonl_core.spec.weight_set import WeightSetDetails


def check(line: bytes, pipe: MessagePipe) -> Mapping[str, Any]:
    """Check the weights of the task."""
    task = json.loads(line)
    details = WeightSetDetails.from_json(task["details"])
    try:
        found = check_weights(Path(task["path"]), details, lambda share: pipe.send("progress", share))
    except WeightsRefused as refused:
        return {"problem": asdict(refused.problem)}
    normalisation = asdict(found.normalisation)
    return {"problem": None, "found": {**vars(found), "arch": found.arch.to_json(), "normalisation": normalisation}}


if __name__ == "__main__":
    answer_task(check)
