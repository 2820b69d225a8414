"""The confined process of a dataset check: `python -m autonl_core.dataset_check.confined_check`.

The task arrives as one line on its standard input. It sends how far it is, how much there is to open, and the result.
Everything that comes out of the dataset is read here and in the processes that this one starts, which inherit its
confinement.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autonl_core.dataset_check.check import check_dataset
from autonl_core.datasets.check_task import CheckTask
from autonl_core.host.messages import MessagePipe, answer_task


def check(line: bytes, pipe: MessagePipe) -> Mapping[str, Any]:
    """Check the dataset of the task; files of the result are named by their names in the work folder."""
    task = CheckTask.from_line(line)
    checked = check_dataset(
        task.name,
        Path(task.path),
        Path(task.work_dir),
        limits=task.limits,
        within=tuple(map(Path, task.within)),
        layout=task.layout,
        duplicates=task.duplicates,
        saved_dir=Path(task.saved_dir),
        on_progress=lambda share: pipe.send("progress", share),
        on_listed=lambda images, content_bytes: pipe.send("listed", [images, content_bytes]),
    )
    return {
        "report": checked.report.to_json(),
        "spec": None if checked.spec is None else checked.spec.to_json(),
        "manifest": None if checked.manifest is None else checked.manifest.name,
        "sheets": [sheet.name for sheet in checked.sheets],
    }


if __name__ == "__main__":
    answer_task(check)
