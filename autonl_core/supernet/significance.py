"""Whether options explain how well networks do, or only how lucky they were: a permutation test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autonl_core.supernet.option_costs import Choice
from autonl_core.supernet.utilities import OptionFeatures, fit_utilities

PERMUTATIONS = 99

Classes = NDArray[np.int64]


def chance_of(
    features: OptionFeatures,
    choices: Sequence[Choice],
    predicted: Classes,
    labels: Classes,
    rng: np.random.Generator,
) -> float:
    """How often options would explain the accuracies as well if no prediction had to do with its image's label.

    The labels are shuffled among the images, and the evidence for the fitted utilities is computed again. Similar
    networks make similar predictions, so they share their luck; shuffled labels keep that, shuffled networks would not.

    Args:
        predicted: (networks, images), the class that each network names.
        labels: (images,).

    Returns:
        The share of shuffles with as much evidence as there is, those labels included: 1 / (PERMUTATIONS + 1) or more.
    """
    seen = _evidence(features, choices, predicted, labels)
    shuffled = (_evidence(features, choices, predicted, rng.permutation(labels)) for _ in range(PERMUTATIONS))
    return (1 + sum(evidence >= seen for evidence in shuffled)) / (PERMUTATIONS + 1)


def _evidence(features: OptionFeatures, choices: Sequence[Choice], predicted: Classes, labels: Classes) -> float:
    """How much likelier accuracies are where options matter, by the best fit."""
    wrong = (predicted != labels).mean(axis=1)
    return fit_utilities(features, choices, wrong.tolist()).evidence
