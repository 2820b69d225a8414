"""Batches: order and augmentation depend on seed, epoch and image alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import STREAM_NUMBERS, Batch, Loader, random_stream
from autonl_core.data.decoding_report import DecodingReport
from autonl_core.data.pixels import ArrayPixels
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.datasets.limits import DEFAULT_LIMITS

STILL = Augmentation(flip=False, padding_px=0)


def make_loader(augmentation: Augmentation = STILL, count: int = 20, size: int = 6, seed: int = 0) -> Loader:
    """Image number n has the value n in every pixel of its left half and n + 100 in the right; its label is n."""
    images = np.zeros((count, size, size, 3), dtype=np.uint8)
    images += np.arange(count, dtype=np.uint8)[:, None, None, None]
    images[:, :, size // 2 :] += 100
    chosen = ImageSet(ArrayPixels(images), np.arange(count, dtype=np.int64), np.arange(count, dtype=np.int64))
    mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)  # which leave raw values
    report = DecodingReport(count, 0, (), mean, std, DEFAULT_LIMITS)
    data = PreparedData(chosen, chosen, mean, std, size, report)
    return Loader(data, torch.device("cpu"), seed, augmentation)


def epoch(loader: Loader, number: int, batch_size: int = 8, first_step: int = 0) -> list[Batch]:
    return list(loader.epoch(loader.data.train, "train", number, batch_size, first_step))


def test_an_epoch_shows_every_image_once_in_a_new_order() -> None:
    loader = make_loader()
    orders = [torch.cat([labels for _, labels in epoch(loader, number)]).tolist() for number in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))
    assert orders[0] != orders[1] != list(range(20))


@pytest.mark.parametrize(("count", "steps"), [(16, 2), (19, 2), (20, 3), (3, 1)])
def test_a_last_batch_smaller_than_half_is_dropped(count: int, steps: int) -> None:
    loader = make_loader(count=count)
    assert loader.steps(loader.data.train, 8) == steps == len(epoch(loader, 0))


def test_an_epoch_resumed_in_the_middle_equals_an_uninterrupted_one() -> None:
    loader = make_loader(Augmentation(flip=True, padding_px=2, erase=0.5))
    whole, rest = epoch(loader, 3), epoch(loader, 3, first_step=1)
    assert len(rest) == len(whole) - 1
    for (x, labels), (again, labels_again) in zip(whole[1:], rest, strict=True):
        assert torch.equal(x, again)
        assert torch.equal(labels, labels_again)


def test_augmentation_depends_on_the_image_not_on_its_place_in_a_batch() -> None:
    loader = make_loader(Augmentation(flip=True, padding_px=2))
    by_label = {
        int(label): x for images, labels in epoch(loader, 0, 8) for x, label in zip(images, labels, strict=True)
    }
    for images, labels in epoch(loader, 0, 5):
        for x, label in zip(images, labels, strict=True):
            assert torch.equal(x, by_label[int(label)])


def test_without_augmentation_images_are_unchanged_in_channels_last() -> None:
    x, labels = epoch(make_loader(), 0)[0]
    assert x.shape == (8, 3, 6, 6)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(x[:, :, 0, 0], labels[:, None].float().expand(-1, 3))
    assert torch.allclose(x[:, :, 0, 5], labels[:, None].float().expand(-1, 3) + 100)


def test_about_half_the_images_are_mirrored() -> None:
    loader = make_loader(Augmentation(flip=True, padding_px=0), count=100)
    mirrored = 0
    for x, labels in epoch(loader, 0, 100):
        left = (x[:, 0, 0, 0] - labels).round()
        assert set(left.tolist()) == {0.0, 100.0}
        mirrored += int((left == 100).sum())
    assert 35 <= mirrored <= 65  # three standard deviations of 100 fair coins


def test_a_shift_moves_the_image_and_fills_with_the_mean() -> None:
    loader = make_loader(Augmentation(flip=False, padding_px=1), count=100)
    fills = 0
    for x, labels in epoch(loader, 0, 100):
        inner = x[:, 0, 2, 1]  # one pixel of shift never brings the right half or the border here
        assert torch.allclose(inner, labels.float())
        fills += int(((x[:, 0, 0, 1] == 0) & (labels > 0)).sum())
    assert 18 <= fills <= 48  # a third of the images moved down by one row


def test_streams_are_independent_and_repeatable() -> None:
    first = random_stream("train", 0, 1).random(4)
    assert np.array_equal(first, random_stream("train", 0, 1).random(4))
    for other in (random_stream("train", 0, 2), random_stream("train", 1, 1), random_stream("search", 0, 1)):
        assert not np.array_equal(first, other.random(4))


def test_numbers_of_streams_never_change() -> None:
    """They are part of every seed: with other numbers, an old search could not be repeated."""
    assert STREAM_NUMBERS == {
        "search": 0, "slopes": 1, "gates": 2, "slope_gates": 3, "candidates": 4,
        "finalist": 5, "train": 6, "plain": 7, "dropout": 8, "mix": 9, "teacher": 10, "resolution": 11,
        "significance": 12,
    }  # fmt: skip
    assert random_stream("train", 3, 5).integers(1 << 30, size=2).tolist() == [519914934, 939815840]


def test_a_plain_pass_shows_every_image_once_always_in_the_same_order() -> None:
    loader = make_loader(Augmentation(flip=True, padding_px=2))
    passes = [torch.cat([labels for _, labels in loader.plain(loader.data.test, 8)]).tolist() for _ in range(2)]
    assert passes[0] == passes[1]
    assert sorted(passes[0]) == list(range(20))


def test_batches_of_a_plain_pass_are_of_nearly_equal_size() -> None:
    loader = make_loader(count=17)  # a last batch of one image would have no statistics
    assert [len(labels) for _, labels in loader.plain(loader.data.test, 8)] == [6, 6, 5]


def test_batches_of_a_plain_pass_mix_classes_that_lie_sorted_on_disk() -> None:
    loader = make_loader(count=200)  # take ten neighbours for one class
    for _, labels in loader.plain(loader.data.test, 50):
        assert len(set((labels // 10).tolist())) >= 12  # of 20 classes; sorted batches would hold 5
