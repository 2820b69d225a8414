"""Images whose label a network doubts: the document that a search leaves for a person to look through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

KIND = "doubtful-labels"  # of the file, among those of a search
LISTED_SHARE = 0.06  # of all images; lists are looked through by a person
MAX_LISTED = 2_000
MAX_PICTURED = 500  # of them: pictures are most of the list


@dataclass(frozen=True)
class DoubtfulLabel:
    """An image, its label, and the most probable other class; `*_pct`: what the network gives to each of the two."""

    image: str  # its file in the dataset
    split: Literal["train", "test"]
    label: str
    label_pct: float
    looks_like: str
    looks_like_pct: float
    picture: str | None = None  # as the network saw it: a `data:` URI


@dataclass(frozen=True)
class DoubtfulLabels:
    """The most doubtful labels of a dataset, the most doubtful first, of `images` that were examined."""

    images: int
    labels: Sequence[DoubtfulLabel]

    def to_json(self) -> dict[str, Any]:
        return {"images": self.images, "labels": [asdict(label) for label in self.labels]}


def listed(images: int) -> int:
    """How many of so many images are listed."""
    return min(MAX_LISTED, round(LISTED_SHARE * images))
