"""Duplicates: planted ones are found, all exact and nearly all modified ones; different pictures are not reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from autonl_core.dataset_check import candidates, duplicates
from autonl_core.dataset_check.candidates import STRICTNESS
from autonl_core.dataset_check.comparison import Comparison
from autonl_core.dataset_check.duplicates import Duplicates, find_duplicates
from autonl_core.dataset_check.inspect import DESCRIPTOR_DIM, Images, Inspected, inspect
from autonl_core.datasets.limits import DEFAULT_LIMITS
from tests.autonl_core.photo_like_images import encoded, packed, photo

COUNT = 120
Change = Callable[[Image.Image], bytes]


def inspected(path: Path, contents: Sequence[bytes]) -> tuple[Images, Inspected]:
    files = {f"{number:05}": content for number, content in enumerate(contents)}
    images = Images("zip", packed(path, files), list(files), "")
    return images, inspect(images, DEFAULT_LIMITS, path.parent)


def found(path: Path, contents: Sequence[bytes]) -> Duplicates:
    """What is found in an archive of these files, by descriptors and pixels."""
    images, opened = inspected(path, contents)
    comparison = Comparison(images, opened, DEFAULT_LIMITS, path.parent)
    duplicates = find_duplicates(opened, comparison.same)
    comparison.dismiss()
    assert comparison.problems == []
    return duplicates


def all_same(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of images that have descriptors only."""
    assert np.all(one != other)
    return np.ones(len(one), bool)


def none_same(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    return ~all_same(one, other)


def resized(image: Image.Image, factor: float, by: Image.Resampling) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), by)


def there_and_back(factor: float, by: Image.Resampling = Image.Resampling.BILINEAR) -> Change:
    return lambda image: encoded(resized(image, factor, by).resize(image.size, by))


def compressed(quality: int) -> Change:
    return lambda image: encoded(image, "JPEG", quality=quality)


CHANGES: dict[str, Change] = {
    **{f"JPEG of quality {quality}": compressed(quality) for quality in (50, 70, 90)},
    "WebP": lambda image: encoded(image, "WEBP", quality=60),
    "halved": lambda image: encoded(resized(image, 0.5, Image.Resampling.BOX)),
    "doubled": lambda image: encoded(resized(image, 2, Image.Resampling.BICUBIC)),
    **{f"times {factor} and back": there_and_back(factor) for factor in (0.5, 0.75, 1.5, 2)},
    "halved, back, compressed": lambda image: encoded(
        resized(resized(image, 0.5, Image.Resampling.BILINEAR), 2, Image.Resampling.BILINEAR), "JPEG", quality=50
    ),
}


@pytest.mark.parametrize(("size", "count"), [(32, 120), (224, 24)])
def test_planted_ones_are_found_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, count: int
) -> None:
    """Every picture is there once, and once more changed in some way."""
    monkeypatch.setattr(candidates, "MAX_ALIKE", 1)
    originals = [photo(seed, size) for seed in range(count)]
    changes = list(CHANGES.values())
    changed = [changes[number % len(changes)](image) for number, image in enumerate(originals)]
    groups = found(tmp_path / "a.zip", [encoded(image) for image in originals] + changed).groups
    assert groups[:count].tolist() == list(range(count))
    assert set(groups[count:].tolist()) <= set(range(2 * count))
    assert np.count_nonzero(groups[count:] == np.arange(count)) >= 0.95 * count
    assert set((groups[count:] - np.arange(count)).tolist()) <= {0, count}


def test_a_few_planted_in_many_make_groups(tmp_path: Path) -> None:
    contents = [encoded(photo(seed)) for seed in range(COUNT)]
    contents += [contents[3], encoded(photo(5), "JPEG", quality=70), contents[3], encoded(photo(3), "JPEG", quality=90)]
    groups = found(tmp_path / "a.zip", contents)
    assert groups.exact[[3, COUNT, COUNT + 2]].tolist() == [3, 3, 3]
    assert groups.groups[[3, COUNT, COUNT + 2, COUNT + 3]].tolist() == [3] * 4
    assert groups.groups[[5, COUNT + 1]].tolist() == [5, 5]
    assert Counter(groups.groups.tolist()).most_common(3)[2][1] == 1  # all others are alone
    assert groups.distance == STRICTNESS[0]


def test_equal_files_are_equal_even_if_flat_or_tiny(tmp_path: Path) -> None:
    grey, black = (encoded(Image.new("L", (3, 3), shade)) for shade in (100, 0))
    groups = found(tmp_path / "a.zip", [grey, black, grey, black, encoded(photo(1))])
    assert groups.groups.tolist() == groups.exact.tolist() == [0, 1, 0, 1, 4]


def test_unreadable_files_are_equal_to_nothing(tmp_path: Path) -> None:
    groups = found(tmp_path / "a.zip", [b"junk", b"junk", encoded(photo(1))])
    assert groups.groups.tolist() == groups.exact.tolist() == [0, 1, 2]


def test_other_colours_and_shapes_are_other_pictures(tmp_path: Path) -> None:
    image = photo(1)
    red, green, blue = image.split()
    contents = [
        encoded(image),
        encoded(Image.merge("RGB", (blue, green, red))),
        encoded(image.resize((64, 32))),
        encoded(image.point(lambda level: min(level + 30, 255))),
    ]
    assert len(set(found(tmp_path / "a.zip", contents).groups.tolist())) == 4


@pytest.mark.long
def test_a_film_is_compared_more_strictly(tmp_path: Path) -> None:
    """Of 150 frames that fade into each other only those few are taken together that follow upon each other."""
    start, end = photo(1), photo(2)
    frames = [Image.blend(start, end, number / 150) for number in range(150)]
    groups = found(tmp_path / "a.zip", [encoded(frame) for frame in frames] + [encoded(frames[75], "JPEG", quality=95)])
    assert groups.distance < STRICTNESS[0]
    assert groups.groups[150] == groups.groups[75]
    assert max(Counter(groups.groups.tolist()).values()) <= 25


def test_a_crowd_of_copies_is_one_group_beside_pairs(tmp_path: Path) -> None:
    contents = [encoded(photo(seed)) for seed in range(200)]
    contents += [encoded(photo(7), "JPEG", quality=q) for q in range(50, 95)] + [encoded(photo(9), "JPEG", quality=60)]
    groups = found(tmp_path / "a.zip", contents)
    assert groups.groups.tolist() == [*range(200), *[7] * 45, 9]


def test_blocks_and_short_reach_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same groups however many images are compared at a time, also where one has more close ones than that."""
    contents = [encoded(photo(seed)) for seed in range(COUNT)]
    contents += [encoded(photo(7), "JPEG", quality=q) for q in range(60, 90)]
    _, images = inspected(tmp_path / "a.zip", contents)
    expected = find_duplicates(images, all_same).groups.tolist()
    assert expected == [*range(COUNT), *[7] * 30]
    for orders, reach, block in ((24, 4, 7), (24, 4, 16_384), (12, 8, 16)):
        monkeypatch.setattr(candidates, "_ORDERS", orders)
        monkeypatch.setattr(candidates, "_REACH", reach)
        monkeypatch.setattr(candidates, "_BLOCK", block)
        assert find_duplicates(images, all_same).groups.tolist() == expected


def smooth(count: int, seed: int) -> Inspected:
    """Descriptors like those of photos, most of their variance in the lowest frequencies."""
    rng = np.random.default_rng(seed)
    images = Inspected([str(number) for number in range(count)])
    images.digests = [number.to_bytes(4, "big") for number in range(count)]
    scales = 1 / (1 + np.hypot(*np.mgrid[:8, :8]).ravel()[1:]) ** 1.2
    images.descriptors[:] = scaled(rng.normal(size=(count, DESCRIPTOR_DIM)) * scales)
    images.means[:] = rng.normal(120, 40, count)
    images.colours[:] = rng.normal(128, 20, (count, 2, 1, 1))
    images.sizes[:] = 64
    return images


def scaled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def plant(images: Inspected, sources: NDArray[np.int64], rows: NDArray[np.int64], distance: float, seed: int) -> None:
    """Turn `rows` into near duplicates of `sources`, at evenly distributed distances of up to `distance`."""
    rng = np.random.default_rng(seed)
    change = scaled(rng.normal(size=(len(rows), DESCRIPTOR_DIM))) * rng.uniform(0, distance, (len(rows), 1))
    images.descriptors[rows] = scaled(images.descriptors[sources] + change)
    images.means[rows] = images.means[sources] + rng.uniform(-5, 5, len(rows))
    images.colours[rows] = images.colours[sources]


def compared_with_all(images: Inspected) -> list[int]:
    """Groups by definition: every image is compared with all others, at the distance for ordinary sets."""
    count = len(images.names)
    groups, colours = np.arange(count), images.colours.reshape(count, -1).astype(np.float32)
    for row in range(count):
        same = np.square(images.descriptors - images.descriptors[row]).sum(axis=1) < STRICTNESS[0] ** 2
        same &= np.abs(images.means - images.means[row]) < 6
        same &= np.sqrt(np.square(colours - colours[row]).mean(axis=1)) < 8
        joined = np.unique(groups[same])
        groups[np.isin(groups, joined)] = joined[0]
    return groups.tolist()


@pytest.mark.parametrize("seed", range(2))
def test_many_are_grouped_as_if_all_were_compared_with_all(seed: int) -> None:
    images = smooth(2000, seed)
    plant(images, np.arange(120), np.arange(1500, 1620), 0.3, seed)
    plant(images, np.repeat([1000, 1001], 60), np.arange(1700, 1820), 0.1, seed)  # more than an order reaches
    found = find_duplicates(images, all_same)
    groups, expected = found.groups.tolist(), compared_with_all(images)
    assert found.distance == STRICTNESS[0]
    assert len(set(expected)) < 1800
    sizes = Counter(expected)
    assert [own for own, group in zip(groups, expected, strict=True) if sizes[group] <= duplicates.MAX_TOGETHER] == [
        group for group in expected if sizes[group] <= duplicates.MAX_TOGETHER
    ]
    assert groups[1000] == groups[1700] == 1000
    assert groups[1001] == groups[1760] == 1001


def test_many_alike_are_compared_more_strictly_whatever_their_number() -> None:
    """Of 3,000 images in crowds at a distance of 0.2, those at most 0.01 apart are grouped."""
    images = smooth(3000, 0)
    plant(images, np.arange(3000) // 100, np.arange(3000), 0.2, 1)
    plant(images, np.arange(300), np.arange(1500, 1800), 0.01, 2)
    found = find_duplicates(images, all_same)
    assert found.distance < STRICTNESS[0]
    assert found.groups[1500:1800].tolist() == found.groups[:300].tolist()


class TestComparisons:
    def test_pixels_decide(self) -> None:
        images = smooth(2000, 0)
        plant(images, np.arange(120), np.arange(1500, 1620), 0.3, 0)
        assert find_duplicates(images, none_same).groups.tolist() == list(range(2000))
        odd = find_duplicates(images, lambda one, other: (one % 2 == 1) & (other - one == 1500)).groups
        expected = [row - 1500 if 1500 <= row < 1620 and row % 2 else row for row in range(2000)]
        assert odd.tolist() == expected

    @pytest.mark.parametrize("count", [500, 2000])
    def test_their_number_grows_with_that_of_the_images_however_alike_these_are(self, count: int) -> None:
        """All are alike and none is the same, so that every image has as many near ones as there are."""
        images = smooth(count, 0)
        plant(images, np.zeros(count, np.int64), np.arange(count), 0.03, 1)
        compared = 0

        def none(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
            nonlocal compared
            compared += len(one)
            return none_same(one, other)

        assert find_duplicates(images, none).groups.tolist() == list(range(count))
        assert count / 2 <= compared <= duplicates.MAX_FAILED * count

    def test_two_crowds_of_copies_of_one_picture_are_one_group(self) -> None:
        """Each has more copies than are kept for an image, all of them nearer than the other crowd."""
        images = smooth(500, 0)
        plant(images, np.array([3]), np.array([4]), 0.2, 0)
        plant(images, np.repeat([3, 4], 12), np.arange(400, 424), 0.01, 1)
        groups = find_duplicates(images, all_same).groups
        assert groups[[3, 4, *range(400, 424)]].tolist() == [3] * 26

    def test_a_chain_is_divided_into_what_shows_the_picture_of_one_of_them(self) -> None:
        """Rows 0 to 99 change by one step each; those at most 3 steps apart are the same."""
        images = smooth(200, 0)
        for row in range(1, 100):
            plant(images, np.array([row - 1]), np.array([row]), 0.005, row)
        found = find_duplicates(images, lambda one, other: (np.abs(one - other) <= 3) & (one < 100) & (other < 100))
        for group in np.unique(found.groups[:100]):
            members = np.flatnonzero(found.groups == group)
            assert np.all(members - members[0] <= 3)
        assert len(np.unique(found.groups[:100])) <= 34
        assert found.groups[100:].tolist() == list(range(100, 200))
