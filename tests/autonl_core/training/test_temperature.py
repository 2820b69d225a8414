"""One temperature for all logits: found where it is known, judged by images that did not choose it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autonl_core.spec.probability_calibration import MIN_IMAGES
from autonl_core.training.temperature import calibrate_logits, calibration_error, find_temperature


def honest(images: int, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits, and labels drawn from their softmax: the probabilities say how often each class is right."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


def test_the_error_of_two_ranges_is_the_mean_of_both() -> None:
    """Three images with 60%, of which one is right; one with 90%, which is right: 3/4 x .2667 + 1/4 x .1 = .225."""
    probability = torch.tensor([0.6, 0.6, 0.6, 0.9], dtype=torch.float64)
    logits = torch.stack((probability.log(), (1 - probability).log()), dim=1)
    assert calibration_error(logits, torch.tensor([0, 1, 1, 0])) == pytest.approx(0.225)


def test_answers_that_are_certain_and_right_have_no_error() -> None:
    logits = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
    assert calibration_error(logits, torch.tensor([0, 1])) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_factor_that_honest_logits_were_multiplied_by_is_found(factor: float) -> None:
    logits, labels = honest(4_000)
    assert find_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_probabilities_that_are_wrong_are_mended(factor: float) -> None:
    logits, labels = honest(2_000)
    found = calibrate_logits(factor * logits, labels)
    assert found is not None
    assert found.test_images == 2_000
    assert found.error_before == calibration_error(factor * logits, labels)
    assert found.error_after < found.error_before / 3


def test_honest_ones_stay_as_they_are() -> None:
    """By chance alone some other temperature fits these images better: it is not taken."""
    for seed in range(5):
        found = calibrate_logits(*honest(300, seed=seed))
        assert found is not None
        assert found.temperature == 1
        assert found.error_after == found.error_before


def test_no_image_is_judged_by_a_temperature_that_it_chose() -> None:
    logits, labels = honest(2_000)
    whole = find_temperature(2.5 * logits, labels)
    found = calibrate_logits(2.5 * logits, labels)
    assert found is not None
    assert found.temperature == whole
    assert found.error_after != calibration_error(2.5 * logits / whole, labels)


def test_few_images_choose_nothing() -> None:
    logits, labels = honest(MIN_IMAGES)
    assert calibrate_logits(logits[1:], labels[1:]) is None
    assert calibrate_logits(logits, labels) is not None
