"""Tables of images: by class and split, recall and precision, confused classes, mistakes, equal pictures."""

from __future__ import annotations

from autonl_core.report.facts import Facts
from autonl_core.report.figures import pct
from autonl_core.report.statistics import class_scores, confusion, most_confused
from autonl_core.report.table import Table
from autonl_core.wording.evidence import wilson_pct

ALL_CLASSES = 30  # up to this many, every class is shown; beyond, only the extremes
_EXTREMES = 20
_PAIRS = 30


def class_counts(facts: Facts) -> Table:
    """Images per class and split; if there are many classes, only the smallest and the largest."""
    data = facts.dataset
    order = list(range(len(data.classes)))
    if len(order) > ALL_CLASSES:
        by_size = sorted(order, key=lambda label: (int(data.train_counts[label]), label))
        order = by_size[: _EXTREMES // 2] + by_size[-_EXTREMES // 2 :]
    rows = [
        (
            data.classes[label],
            f"{data.train_counts[label]:,}",
            f"{data.val_counts[label]:,}",
            f"{data.test_counts[label]:,}",
        )
        for label in order
    ]
    total = ("total", *(f"{int(counts.sum()):,}" for counts in (data.train_counts, data.val_counts, data.test_counts)))
    return Table(("class", "training images", "of which for validation", "test images"), (*rows, total))


def scored_classes(facts: Facts) -> Table:
    """Recall and precision of every class; if there are many classes, only of those with the lowest recall."""
    table = confusion(facts.test.labels, facts.test.predicted, len(facts.dataset.classes))
    scores = class_scores(table)
    if len(scores) > ALL_CLASSES:
        scores = sorted(scores, key=lambda score: (score.top1_pct, score.label))[:_EXTREMES]
    rows = []
    for score in scores:
        low, high = wilson_pct(score.correct, score.images)
        predicted = int(table[:, score.label].sum())
        precision = pct(100 * score.correct / predicted) if predicted else "–"
        recall = pct(score.top1_pct) if score.images else "–"
        counted = f"{score.correct:,} of {score.images:,}"
        rows.append((facts.dataset.classes[score.label], counted, recall, f"{low:.0f}% to {high:.0f}%", precision))
    head = ("class", "correct test images", "recall", "95% interval", "precision")
    return Table(head, tuple(rows))


def confused_pairs(facts: Facts, most: int = _PAIRS) -> Table:
    """Which classes are confused with which."""
    names = facts.dataset.classes
    table = confusion(facts.test.labels, facts.test.predicted, len(names))
    rows = [
        (names[pair.label], names[pair.predicted], f"{pair.count:,}", pct(100 * pair.count / pair.images))
        for pair in most_confused(table, most)
    ]
    head = ("true class", "predicted class", "test images", "share of the true class")
    return Table(head, tuple(rows), (0, 1))


def mistakes(facts: Facts) -> Table:
    """The wrong predictions with the highest confidence."""
    names = facts.dataset.classes
    rows = [(names[m.label], names[m.predicted], pct(100 * m.confidence)) for m in facts.test.mistakes]
    return Table(("true class", "predicted class", "confidence"), tuple(rows), (0, 1))


def pairs(facts: Facts) -> Table | None:
    """Training images that show the same picture as a test image; None: there are none."""
    found = facts.dataset.pairs
    rows = [
        (pair.file, pair.shows, "the same bytes" if pair.kind == "exact" else f"{pair.distance:g} of 255 levels apart")
        for pair in found
    ]
    return Table(("training image", "test image", "difference"), tuple(rows), (0, 1, 2)) if rows else None
