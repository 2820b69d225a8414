"""One temperature for all logits, so that a probability says how often such answers are right (Guo et al., 2017)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from autonl_core.spec.probability_calibration import MIN_IMAGES, ProbabilityCalibration

LOWEST, HIGHEST = 0.1, 10.0
FOLDS = 5
BINS = 15
STANDARD_ERRORS = 2.0  # by which the loss must fall for a temperature to be taken


def find_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the lowest cross-entropy of `labels` (N,) by `logits` (N, classes)."""
    from scipy.optimize import minimize_scalar  # takes a third of a second, and only the end of a search needs it

    wide = logits.double()
    found = minimize_scalar(
        lambda logarithm: float(F.cross_entropy(wide / math.exp(logarithm), labels)),
        bounds=(math.log(LOWEST), math.log(HIGHEST)),
        method="bounded",
    )
    return math.exp(float(found.x))


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """The expected calibration error of (N, classes) logits for (N,) labels, 0 to 1: see `ProbabilityCalibration`."""
    probability, predicted = logits.double().softmax(dim=1).max(dim=1)
    places = (probability * BINS).ceil().long().clamp(1, BINS) - 1  # (N,); a range has its upper end
    distances = torch.zeros(BINS, dtype=torch.float64)
    distances.index_add_(0, places, (predicted == labels).double() - probability)
    return float(distances.abs().sum()) / len(labels)


def calibrate_logits(logits: Tensor, labels: Tensor) -> ProbabilityCalibration | None:
    """What to divide logits (N, classes) by. None: there are fewer than MIN_IMAGES.

    Every fifth image is judged with the temperature of the others. One is taken only if it lowers their loss by more
    than chance does.
    """
    if len(labels) < MIN_IMAGES:
        return None
    before, judged = logits.double(), logits.double().clone()
    folds = torch.arange(len(labels)) % FOLDS
    for fold in range(FOLDS):
        judged[folds == fold] /= find_temperature(before[folds != fold], labels[folds != fold])
    losses, judged_losses = (F.cross_entropy(each, labels, reduction="none") for each in (before, judged))
    gains = losses - judged_losses  # (N,)
    helps = float(gains.mean()) > STANDARD_ERRORS * float(gains.std()) / len(gains) ** 0.5
    return ProbabilityCalibration(
        find_temperature(before, labels) if helps else 1.0,
        len(labels),
        calibration_error(before, labels),
        calibration_error(judged if helps else before, labels),
    )
