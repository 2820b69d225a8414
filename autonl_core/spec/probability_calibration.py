"""How far the probabilities of a network are from how often it is right, measured on test images."""

from __future__ import annotations

from dataclasses import dataclass

from autonl_core.wording.counts import counted

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
    """A sentence for the model card and the report."""
    its = "Its probabilities (softmax of the logits)"
    if calibration is None:
        return f"{its} are not calibrated: that takes {MIN_IMAGES} test images or more."
    images = counted(calibration.test_images, "test image")
    off = f"are off by {_points(calibration.error_after)} in the mean of {images} (expected calibration error)"
    if calibration.temperature == 1:
        return f"{its} {off}; no temperature made that better beyond chance."
    return (
        f"{its} {off}, {_points(calibration.error_before)} before the classifier was divided by a temperature of "
        f"{calibration.temperature:.2f}. These images chose it; the error is that of images that did not."
    )


def _points(error: float) -> str:
    return f"{100 * error:.1f} points"
