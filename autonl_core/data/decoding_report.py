"""What decoding a dataset found: written beside the decoded images, and read by every search that uses them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from autonl_core.datasets.limits import Limits

_FILE_NAME = "report.json"

Channels = tuple[float, float, float]  # red, green, blue


@dataclass(frozen=True)
class UnreadableImage:
    """A file of the dataset that is no readable image, and why."""

    file: str
    problem: str


@dataclass(frozen=True)
class DecodingReport:
    """Counts of one decoding, the first of its problems, and the channel statistics of the training images (0 to 1).

    `limits` are those that were in force; images beyond them count as unreadable.
    """

    images: int  # readable
    unreadable: int
    problems: tuple[UnreadableImage, ...]
    mean: Channels
    std: Channels
    limits: Limits

    def save(self, folder: Path) -> None:
        """Write the report into `folder`."""
        (folder / _FILE_NAME).write_text(json.dumps(asdict(self)))

    @staticmethod
    def load(folder: Path) -> DecodingReport:
        """The report in `folder`."""
        data = json.loads((folder / _FILE_NAME).read_text())
        return DecodingReport(
            images=data["images"],
            unreadable=data["unreadable"],
            problems=tuple(UnreadableImage(**image) for image in data["problems"]),
            mean=tuple(data["mean"]),
            std=tuple(data["std"]),
            limits=Limits(**data["limits"]),
        )
