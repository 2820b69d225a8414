"""Problems of lists of doubtful labels, and of what a person makes of them."""

from __future__ import annotations

from api.problems import declare

DOUBTFUL_LABELS_NOT_READY = declare(
    "doubtful-labels-not-ready",
    409,
    "No doubtful labels yet",
    "They are written down at the end of a search. While it runs, try again after `Retry-After` seconds.",
    "search 0123456789abcdef is running; its list of doubtful labels will be available once it has succeeded",
    {"state": "running"},
)
CORRECTION_INVALID = declare(
    "correction-invalid",
    422,
    "The correction does not fit the dataset",
    "`detail` lists what is wrong. Images are named as in a list of doubtful labels, and every class keeps at least "
    "two training images and one test image.",
    "not used by this dataset: 'train/cat/7.jpg'; no class of this dataset: 'cta'",
)
