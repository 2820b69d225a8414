"""One way to read a dataset: the part and the class of every image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from autonl_core.datasets.layouts.pattern import Place, composed
from autonl_core.errors import LayoutReading


@dataclass(frozen=True)
class Reading:
    """`layout` is how a user asks for it. Images without a place are not used.

    `unused_tables` says why tables beside the images are not used.
    """

    layout: str
    places: Mapping[str, Place]
    unused_tables: tuple[str, ...] = ()

    def counts(self) -> Counter[str]:
        """Images of each class."""
        return Counter(place.class_name for place in self.places.values())

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same with other names for some of the classes."""
        if not names:
            return self
        places = {
            image: place._replace(class_name=names.get(place.class_name, place.class_name))
            for image, place in self.places.items()
        }
        return replace(self, places=places)

    def with_composed_names(self) -> Self:
        """Accents as one character, unless only that distinguishes classes: then they stay as they are stored."""
        counts = self.counts()
        spellings = Counter(map(composed, counts))
        return self.renamed(
            {name: composed(name) for name in counts if composed(name) != name and spellings[composed(name)] == 1}
        )

    def summary(self) -> LayoutReading:
        """For a user who has to choose."""
        return LayoutReading(self.layout, self.counts())
