"""The comparison with mirrored images: descriptors of mirrored files, evidence by hand, power and false alarms."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autonl_core.dataset_check.inspect import DESCRIPTOR_DIM, Images, Inspected, inspect
from autonl_core.dataset_check.mirror_test import (
    MOST_IMAGES,
    Confusion,
    Descriptors,
    Labels,
    compare_with_mirrored,
    mirrored,
)
from autonl_core.datasets.limits import DEFAULT_LIMITS
from tests.autonl_core.photo_like_images import encoded, packed, photo

CLASSES, EACH = 3, 40


def clusters(seed: int, *, turned: bool) -> tuple[Descriptors, Labels]:
    """Classes around centres of their own; if `turned`, the last class is the mirror image of the first."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (CLASSES, DESCRIPTOR_DIM)).astype(np.float32)
    if turned:
        centres[-1] = mirrored(centres[:1])[0]
    labels = np.repeat(np.arange(CLASSES), EACH)
    return centres[labels] + rng.normal(0, 0.3, (len(labels), DESCRIPTOR_DIM)).astype(np.float32), labels


def inspected(path: Path, images: list[Image.Image]) -> Inspected:
    files = {f"{number:03}.png": encoded(image) for number, image in enumerate(images)}
    return inspect(Images("zip", packed(path, files), list(files), ""), DEFAULT_LIMITS, path.parent)


def test_the_descriptor_of_a_mirrored_file_is_that_of_the_file_with_other_signs(tmp_path: Path) -> None:
    photos = [photo(seed, 48) for seed in range(10)]
    turned = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in photos]
    upside_down = [image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) for image in photos]
    found = inspected(tmp_path / "photos.zip", photos + turned + upside_down).descriptors
    assert np.allclose(mirrored(found[:10]), found[10:20], atol=0.02)
    assert not np.allclose(mirrored(found[:10]), found[20:], atol=0.02)


def test_the_chance_of_a_confusion_by_hand() -> None:
    assert Confusion(3, 0, 10).chance == pytest.approx(1 / 8)
    assert Confusion(3, 1, 10).chance == pytest.approx(5 / 16)
    assert (Confusion(0, 0, 10).chance, Confusion(0, 5, 10).chance) == (1, 1)
    assert (Confusion(3, 1, 10).share, Confusion(1, 3, 10).share) == (0.2, -0.2)


def test_classes_that_are_mirror_images_are_named() -> None:
    test = compare_with_mirrored(*clusters(0, turned=True))
    assert test.is_harmful
    assert [(pair.one, pair.other) for pair in test.pairs_below(0.01)] == [(0, 2)]
    assert test.total.right == 0
    assert (test.recognised, test.possible_pairs) == (CLASSES * EACH, 3)


def test_one_sided_classes_that_are_no_mirror_images_are_left_alone() -> None:
    """Shoes that all face left: their mirror images look like nothing seen before, and like no other class."""
    test = compare_with_mirrored(*clusters(0, turned=False))
    assert not test.is_doubtful
    assert (test.total.wrong, test.total.right, test.pairs) == (0, 0, ())
    assert test.recognised_mirrored < test.recognised  # not a reason


@pytest.mark.long
@pytest.mark.parametrize("classes", [2, 10])
def test_labels_at_random_are_rarely_an_alarm(classes: int) -> None:
    rng = np.random.default_rng(classes)
    alarms = doubts = 0
    for _ in range(200):
        found = rng.normal(0, 1, (80, DESCRIPTOR_DIM)).astype(np.float32)
        test = compare_with_mirrored(found, np.sort(rng.integers(0, classes, 80)))
        alarms += test.is_harmful
        doubts += test.is_doubtful
    assert alarms <= 6  # 1% are expected at most: 7 or more of 200 have a chance below 0.5%
    assert doubts <= 20


def test_an_image_is_not_compared_with_its_neighbours_by_name() -> None:
    """Frames of one scene follow each other: what is nearest to a frame is the next one, mirrored or not."""
    rng = np.random.default_rng(0)
    scenes, labels = clusters(1, turned=True)
    frames = np.repeat(scenes[::10], 10, axis=0) + rng.normal(0, 0.001, scenes.shape).astype(np.float32)
    assert compare_with_mirrored(frames, labels).is_harmful


@pytest.mark.long
def test_few_and_many_images_and_classes_are_compared_within_seconds() -> None:
    rng = np.random.default_rng(0)
    few = compare_with_mirrored(rng.normal(0, 1, (2, DESCRIPTOR_DIM)).astype(np.float32), np.array([0, 1]))
    assert not few.is_doubtful
    many = np.tile(rng.normal(0, 1, (1000, DESCRIPTOR_DIM)).astype(np.float32), (400, 1))
    for classes in (2, 5000):
        began = time.process_time()
        test = compare_with_mirrored(many, np.sort(rng.integers(0, classes, len(many))))
        assert test.total.images <= MOST_IMAGES
        assert time.process_time() - began < 30
