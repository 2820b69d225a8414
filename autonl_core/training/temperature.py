"""One temperature for all logits, so that a probability says how often such answers are right (Guo et al., 2017)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

from autonl_core.spec.probability_calibration import MIN_IMAGES, ProbabilityCalibration

LOWEST, HIGHEST = 0.1, 10.0
FOLDS = 5
BINS = 15
STANDARD_ERRORS = 2.0  # by which the loss must fall for a temperature to be taken


def find_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the lowest cross-entropy of `labels` (N,) by `logits` (N, classes)."""
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
    folds = torch.arange(len(labels)) % FOLDS
    judged = logits.double().clone()
    for fold in range(FOLDS):
        judged[folds == fold] /= find_temperature(logits[folds != fold], labels[folds != fold])
    gains = F.cross_entropy(logits.double(), labels, reduction="none") - F.cross_entropy(
        judged, labels, reduction="none"
    )
    before = calibration_error(logits, labels)
    if float(gains.mean()) <= STANDARD_ERRORS * float(gains.std()) / len(gains) ** 0.5:
        return ProbabilityCalibration(1.0, len(labels), before, before)
    return ProbabilityCalibration(
        find_temperature(logits, labels), len(labels), before, calibration_error(judged, labels)
    )
