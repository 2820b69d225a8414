"""Orders of images: complete, the same every time, and close images stand close together in one of several."""

from __future__ import annotations

import numpy as np

from autonl_core.dataset_check.similar_orders import similar_orders


def test_every_order_has_every_image_once_and_is_the_same_next_time() -> None:
    descriptors = np.random.default_rng(0).normal(size=(5000, 63)).astype(np.float32)
    means = np.random.default_rng(1).uniform(0, 255, 5000).astype(np.float32)
    rows = np.arange(0, 5000, 2)
    orders = list(similar_orders(descriptors, means, rows, 3))
    assert [sorted(order.tolist()) for order in orders] == [list(range(2500))] * 3
    assert len({tuple(order.tolist()) for order in orders}) == 3
    for order, again in zip(orders, similar_orders(descriptors, means, rows, 3), strict=True):
        assert order.tolist() == again.tolist()


def test_close_images_stand_close_together_in_one_of_several_orders() -> None:
    rng = np.random.default_rng(1)
    half = rng.normal(size=(4000, 63))
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    change = rng.normal(size=half.shape)
    change *= 0.3 / np.linalg.norm(change, axis=1, keepdims=True)
    descriptors = np.concatenate([half, half + change]).astype(np.float32)
    brightness = rng.uniform(0, 255, len(half))
    means = np.concatenate([brightness, brightness + 5]).astype(np.float32)
    least = np.full(len(half), len(descriptors))
    for order in similar_orders(descriptors, means, np.arange(len(descriptors)), 24):
        places = np.argsort(order)
        least = np.minimum(least, np.abs(places[: len(half)] - places[len(half) :]))
    assert np.count_nonzero(least > 32) <= 1  # of 4,000


def test_images_with_little_contrast_stand_close_together_whatever_their_noise() -> None:
    rng = np.random.default_rng(2)
    descriptors = rng.normal(size=(4000, 63))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    descriptors[:10] *= 0.02
    means = np.where(np.arange(4000) < 10, 3, rng.normal(120, 40, 4000)).astype(np.float32)
    orders = similar_orders(descriptors.astype(np.float32), means, np.arange(4000), 24)
    assert sum(np.ptp(np.argsort(order)[:10]) < 100 for order in orders) > 12
