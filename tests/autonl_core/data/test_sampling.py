"""Orders of an epoch."""

from __future__ import annotations

import numpy as np

from autonl_core.data.sampling import class_balanced, shuffled

LABELS = np.array([0] * 8 + [1] * 2 + [2] * 3)


def test_a_shuffled_epoch_shows_every_image_once() -> None:
    order = shuffled(10, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(10))
    assert order.tolist() != list(range(10))


def test_a_balanced_epoch_is_as_long_and_shows_every_class_as_often() -> None:
    shown = np.zeros(len(LABELS), dtype=int)
    for seed in range(30):
        order = class_balanced(LABELS, np.random.default_rng(seed))
        assert len(order) == 13
        counts = np.bincount(LABELS[order])
        assert sorted(counts) == [4, 4, 5]  # 13 images, 3 classes
        of_images = np.bincount(order, minlength=13)
        assert of_images[:8].max() == 1  # the frequent class: no image twice
        assert set(of_images[8:10]) <= {2, 3}  # the rare one: each twice, or once more
        shown += of_images
    assert shown[:8].min() >= 8  # every image gets its turn: 30 epochs of at least 4 of 8 images
    assert np.array_equal(order, class_balanced(LABELS, np.random.default_rng(29)))


def test_more_classes_than_places_leave_nothing_undefined() -> None:
    labels = np.arange(5)
    assert sorted(class_balanced(labels, np.random.default_rng(0)).tolist()) == [0, 1, 2, 3, 4]
