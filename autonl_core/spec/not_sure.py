"""Below which probability of its best class a network is not sure, measured on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIN_IMAGES = 20  # fewer do not tell half from more


@dataclass(frozen=True)
class NotSure:
    """Of `test_images`, whose best class had a probability below `below`, under half were right: `test_correct`."""

    below: float  # 0 to 1
    test_images: int
    test_correct: int


def find_not_sure(probabilities: Sequence[float], right: Sequence[bool]) -> NotSure | None:
    """The highest such probability, for the best class of every test image, and whether it is the right one.

    None if there is none that at least MIN_IMAGES images are below: the images do not show where the network errs.
    """
    ranked = sorted(zip(probabilities, right, strict=True))
    found, correct = None, 0
    for count, (probability, is_right) in enumerate(ranked, start=1):
        correct += is_right
        following = ranked[count][0] if count < len(ranked) else 1.0
        if count >= MIN_IMAGES and 2 * correct < count and following > probability:
            found = NotSure(following, count, correct)
    return found
