"""One way to read a dataset: the part and the class of every image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autonl_core.datasets.layouts.pattern import Place
from autonl_core.errors import DatasetError

SHOWN_CLASSES = 100
_SHOWN_IN_TEXT = 5


@dataclass(frozen=True)
class Reading:
    """`layout` is how a user asks for it. Images without a place are not used."""

    layout: str
    places: Mapping[str, Place]

    def counts(self) -> Counter[str]:
        """Images of each class."""
        return Counter(place.class_name for place in self.places.values())

    def to_json(self) -> dict[str, Any]:
        """As reports show it: the layout, its classes and their images."""
        counts = self.counts()
        classes = [{"name": name, "images": counts[name]} for name in sorted(counts)]
        return {"layout": self.layout, "detail": self.in_words(), "classes": classes[:SHOWN_CLASSES]}

    def in_words(self) -> str:
        """Such as "3 classes: cat (36), dog (36), emu (12)"."""
        counts = self.counts()
        shown = ", ".join(f"{name} ({counts[name]:,})" for name in sorted(counts)[:_SHOWN_IN_TEXT])
        return f"{len(counts):,} classes: {shown}{', ...' if len(counts) > _SHOWN_IN_TEXT else ''}"


class AmbiguousLayout(DatasetError):
    """A dataset can be read in several ways, and the user has to choose."""

    def __init__(self, where: str, why: str, readings: Sequence[Reading]) -> None:
        ways = "; ".join(f"layout={reading.layout} for {reading.in_words()}" for reading in readings)
        ask = "choose how to read it" if len(readings) > 1 else "if that is what it means, choose"
        super().__init__(f"{where} {why}: {ask}: {ways}")
        self.readings = tuple(readings)
