"""What is said of the probabilities of a network."""

from __future__ import annotations

from autonl_core.spec.probability_calibration import ProbabilityCalibration, calibrated


def test_both_errors_the_temperature_and_what_they_rest_on_are_said() -> None:
    said = calibrated(ProbabilityCalibration(0.7157, 713, 0.0829, 0.0239))
    assert (
        "off by 2.4 points in the mean, 8.3 points before the classifier was divided by a temperature of 0.72" in said
    )
    assert "713 test images, each judged by a temperature that it did not help to choose" in said


def test_where_no_temperature_helps_there_is_one_error_and_no_temperature() -> None:
    said = calibrated(ProbabilityCalibration(1.0, 100, 0.087, 0.087))
    assert "off by 8.7 points in the mean; no temperature made that better beyond chance" in said
    assert "judged by" not in said


def test_few_test_images_show_nothing() -> None:
    assert calibrated(None).endswith("are not calibrated: that takes 100 test images or more.")
