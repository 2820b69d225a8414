"""How far the probabilities of a network are from how often it is right, measured on test images."""

from __future__ import annotations

from dataclasses import dataclass

from autonl_core.wording.counts import counted
from autonl_core.wording.probabilities import off_by

MIN_IMAGES = 100  # fewer do not show how often a network is right at each probability


@dataclass(frozen=True)
class ProbabilityCalibration:
    """What the logits were divided by, and the expected calibration error with and without it.

    Args:
        temperature: above 0, folded into the classifier. 1: no other one is better beyond chance.
        test_images: that it was found on, and the errors.
        error_before: the mean distance of the best class's probability from the share of answers that are right, 0 to
            1, over 15 equal ranges of probability (Guo et al., 2017).
        error_after: the same with temperatures found without the images that they are judged on.
    """

    temperature: float
    test_images: int
    error_before: float
    error_after: float


def calibrated(calibration: ProbabilityCalibration | None) -> str:
    """What the model card and the report say of it."""
    its = "The network's probabilities (softmax of its logits)"
    if calibration is None:
        return f"{its} are not calibrated: that takes {MIN_IMAGES} test images or more."
    off = off_by(calibration.error_after, calibration.error_before, calibration.temperature)
    images = counted(calibration.test_images, "test image")
    chosen = "" if calibration.temperature == 1 else ", each judged by a temperature that it did not help to choose"
    return f"{its} are {off} (expected calibration error of {images}{chosen})."
