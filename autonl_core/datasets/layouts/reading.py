"""One way to read a dataset: the part and the class of every image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from autonl_core.datasets.layouts.pattern import Place
from autonl_core.errors import LayoutReading


@dataclass(frozen=True)
class Reading:
    """`layout` is how a user asks for it. Images without a place are not used."""

    layout: str
    places: Mapping[str, Place]

    def counts(self) -> Counter[str]:
        """Images of each class."""
        return Counter(place.class_name for place in self.places.values())

    def summary(self) -> LayoutReading:
        """For a user who has to choose."""
        return LayoutReading(self.layout, self.counts())
