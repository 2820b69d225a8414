"""What the logits of the delivered network are divided by, so that its probabilities can be believed.

Test images are the only ones that it has not learned from: the validation images have joined its training. One number
is taken from them, and it cannot change which class is the most probable one, so top-1 stays what it was.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from autonl_core.nn.network import Network
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.probability_calibration import ProbabilityCalibration
from autonl_core.training.evaluate import evaluate
from autonl_core.training.temperature import calibrate_logits

MAX_IMAGES = 5_000  # more would make one number no better


def calibrate(run: SearchRun, network: Network) -> ProbabilityCalibration | None:
    """Fold a temperature into the classifier of `network`. None: there are too few test images to find one.

    Raises:
        Interrupted: the search was asked to stop.
    """
    test = run.data.test
    chosen = np.linspace(0, len(test) - 1, min(len(test), MAX_IMAGES)).astype(np.int64)
    answers: list[tuple[Tensor, Tensor]] = []

    def keep(_: Tensor, labels: Tensor, logits: Tensor) -> None:
        answers.append((logits.float().cpu(), labels.cpu()))

    evaluate(network, run.watched(run.loader.plain(test.subset(chosen))), keep)
    logits, labels = (torch.cat(parts) for parts in zip(*answers, strict=True))
    if not bool(logits.isfinite().all()):
        return None  # its score will say so
    found = calibrate_logits(logits, labels)
    if found is not None:
        with torch.no_grad():
            network.classifier.weight.div_(found.temperature)
            network.classifier.bias.div_(found.temperature)
    return found
