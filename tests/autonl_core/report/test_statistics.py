"""Statistics on finite test splits: against published intervals, and by hand."""

from __future__ import annotations

import numpy as np

from autonl_core.report.statistics import class_scores, confusion, most_confused

LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
PREDICTED = np.array([0, 1, 1, 1, 0, 2, 2, 1, 2])


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
