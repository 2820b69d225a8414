"""Statistics on finite test splits: against published intervals, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autonl_core.report.statistics import class_scores, confusion, most_confused, wilson_pct

LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
PREDICTED = np.array([0, 1, 1, 1, 0, 2, 2, 1, 2])


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0.0, 16.11),
        (1, 29, 0.61, 17.18),
    ],
)
def test_the_interval_is_that_of_wilson(correct: int, images: int, low: float, high: float) -> None:
    assert wilson_pct(correct, images) == pytest.approx((low, high), abs=0.01)
    mirrored = wilson_pct(images - correct, images)
    assert mirrored == pytest.approx((100 - high, 100 - low), abs=0.01)


def test_without_images_nothing_is_known() -> None:
    assert wilson_pct(0, 0) == (0.0, 100.0)


def test_the_interval_includes_its_share_to_the_last_bit() -> None:
    for images in range(1, 400):
        assert wilson_pct(images, images)[1] == 100.0
        assert wilson_pct(0, images)[0] == 0.0
        low, high = wilson_pct(images // 3, images)
        assert low <= 100 * (images // 3) / images <= high


def test_a_confusion_matrix_has_true_classes_in_its_rows() -> None:
    table = confusion(LABELS, PREDICTED, 3)
    assert table.tolist() == [[1, 2, 0], [1, 1, 0], [0, 1, 3]]
    scores = class_scores(table)
    assert [(score.correct, score.images) for score in scores] == [(1, 3), (1, 2), (3, 4)]
    assert sum(score.correct for score in scores) == int((LABELS == PREDICTED).sum())


def test_pairs_are_ranked_and_classes_never_confused_are_omitted() -> None:
    pairs = most_confused(confusion(LABELS, PREDICTED, 3), 10)
    assert [(p.label, p.predicted, p.count, p.images) for p in pairs] == [(0, 1, 2, 3), (1, 0, 1, 2), (2, 1, 1, 4)]
    assert most_confused(confusion(LABELS, PREDICTED, 3), 1) == pairs[:1]
    assert most_confused(np.diag([3, 2]), 10) == []
