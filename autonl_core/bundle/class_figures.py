"""The part of the model card about single classes: what is recognised, and of which there are few images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autonl_core.report.figures import pct
from autonl_core.report.markdown import plain
from autonl_core.spec.result import ClassResult
from autonl_core.wording.evidence import wilson_pct

FEW_TRAINING, FEW_TEST = 20, 20  # images of a class; with fewer test images, an interval is about 40 points wide
_SHOWN = 30  # classes; of more, those with the lowest recall


def class_figures(classes: Sequence[ClassResult]) -> Iterator[str]:
    """Lines of Markdown: a table of recall by class, and the classes with few images. Nothing if none were counted."""
    if not classes:
        return
    yield "\n## Accuracy by class\n"
    shown = classes
    if len(classes) > _SHOWN:
        shown = sorted(classes, key=_recall)[:_SHOWN]
        yield f"The {_SHOWN} classes with the lowest recall, of {len(classes):,}; report.html has more.\n"
    yield "| class | training images | test images | recognised | recall | 95% interval |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for each in shown:
        low, high = wilson_pct(each.correct, each.test_images)
        recall = pct(100 * each.correct / each.test_images) if each.test_images else "–"
        yield (
            f"| {plain(each.name)} | {each.train_images:,} | {each.test_images:,} | {each.correct:,} | {recall} | "
            f"{low:.0f}% to {high:.0f}% |"
        )
    yield from _few(classes)


def _few(classes: Sequence[ClassResult]) -> Iterator[str]:
    few = [each for each in classes if each.train_images < FEW_TRAINING or each.test_images < FEW_TEST]
    if not few:
        return
    fewest = sorted(few, key=lambda each: (min(each.train_images, each.test_images), each.name))
    named = ", ".join(f"{plain(each.name)} ({each.train_images} and {each.test_images})" for each in fewest[:_SHOWN])
    more = f" and {len(few) - _SHOWN:,} more" if len(few) > _SHOWN else ""
    yield (
        f"\nFew images, below {FEW_TRAINING} for training or {FEW_TEST} for testing: {named}{more}. What is said of "
        "these classes is uncertain."
    )


def _recall(found: ClassResult) -> float:
    return found.correct / found.test_images if found.test_images else 0.0
