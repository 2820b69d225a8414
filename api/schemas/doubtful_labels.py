"""Images whose label the network of a search doubts, for a person to look through."""

from __future__ import annotations

from pydantic import Field

from api.schemas.base import View, mirrors
from autonl_core.spec.doubtful_labels import DoubtfulLabel


@mirrors(
    DoubtfulLabel,
    descriptions={
        "image": "its file in the dataset",
        "label": "the class that the dataset says it is of",
        "label_pct": "what the network gives to that class, of 100",
        "looks_like": "the class that the network finds most probable besides",
        "looks_like_pct": "what it gives to that one",
        "picture": "as the network saw it, a `data:` URI; null: only the first 500 have one",
    },
)
class DoubtfulLabelView(View):
    """An image, its label, and the class that it looks like to the network."""


class DoubtfulLabelsView(View):
    """The most doubtful labels: six of a hundred images, at most 2,000, the most doubtful first."""

    images: int = Field(description="training and test images that were examined")
    labels: list[DoubtfulLabelView]
