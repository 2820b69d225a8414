"""What a network recognises of every class, counted on the test split."""

from __future__ import annotations

import numpy as np

from autonl_core.data.prepare import ImageSet
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.result import ClassResult
from autonl_core.training.evaluate import Predictions


def class_results(run: SearchRun, predictions: Predictions) -> tuple[ClassResult, ...]:
    """One result for every class of the dataset, in the order of the logits."""
    names = run.dataset.classes
    labels, predicted = predictions.labels.numpy(), predictions.predicted.numpy()
    counts = (
        _images(run.data.train, len(names)),
        np.bincount(labels, minlength=len(names)),
        np.bincount(labels[labels == predicted], minlength=len(names)),
        np.bincount(predicted, minlength=len(names)),
    )
    return tuple(ClassResult(name, *(int(count[place]) for count in counts)) for place, name in enumerate(names))


def _images(images: ImageSet, classes: int) -> np.ndarray:
    return np.bincount(images.labels[images.indices], minlength=classes)
