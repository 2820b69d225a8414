"""Who looks on while a network is scored sees every answer, and changes none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autonl_core.training.evaluate import Examiner, score


def as_logits(x: Tensor) -> Tensor:
    """The first pixel's three channels are the logits."""
    return x[:, :, 0, 0]


def batches() -> list[tuple[Tensor, Tensor]]:
    """Five images whose answers are 0, 1, 2, 1, 0, three of them wrong, in two batches."""
    logits = torch.tensor([[3.0, 0, 0], [0, 1.0, 0], [0, 0, 5.0], [0, 2.0, 0], [0.5, 0, 0]])
    images = logits[:, :, None, None].expand(5, 3, 2, 2)
    labels = torch.tensor([0, 2, 0, 1, 1])
    return [(images[:3], labels[:3]), (images[3:], labels[3:])]


def test_the_score_is_the_same_and_agrees_with_what_was_seen() -> None:
    examiner = Examiner()
    watched = score(as_logits, batches(), examiner)
    assert watched == score(as_logits, batches())
    seen = examiner.predictions()
    assert seen.labels.tolist() == [0, 2, 0, 1, 1]
    assert seen.predicted.tolist() == [0, 1, 2, 1, 0]
    assert int((seen.labels == seen.predicted).sum()) == watched.correct == 2
    e = 2.718281828
    expected = [e**value / (e**value + 2) for value in (3, 1, 5, 2, 0.5)]
    assert seen.confidence.tolist() == pytest.approx(expected)


def test_the_worst_mistakes_are_those_made_with_most_confidence_with_their_images() -> None:
    examiner = Examiner(mistakes=2)
    score(as_logits, batches(), examiner)
    seen = examiner.predictions()
    assert seen.worst.tolist() == [2, 1]  # confidence .99 and .58; the third mistake, .45, is left out
    assert seen.worst_images[:, :, 0, 0].tolist() == [[0, 0, 5], [0, 1, 0]]


def test_the_images_of_mistakes_do_not_keep_their_batches_in_memory() -> None:
    examiner = Examiner(mistakes=1)
    score(as_logits, [(torch.eye(3)[:, :, None, None].repeat(1, 1, 2, 2), torch.tensor([1, 1, 1]))], examiner)
    ((_, _, image),) = examiner._worst
    assert image.untyped_storage().nbytes() == 4 * 3 * 2 * 2


def test_without_mistakes_there_is_nothing_to_show() -> None:
    examiner = Examiner()
    image = torch.zeros(1, 3, 2, 2)
    image[:, 1] = 4.0
    score(as_logits, [(image, torch.tensor([1]))], examiner)
    assert examiner.predictions().worst.tolist() == []
