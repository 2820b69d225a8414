"""Duplicates: planted ones are found, all exact and nearly all modified ones; different pictures are not reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autonl_core.dataset_check import duplicates
from autonl_core.dataset_check.duplicates import STRICTNESS, Duplicates, find_duplicates
from autonl_core.dataset_check.inspect import Inspected, inspect
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.sources import open_source
from tests.autonl_core.photo_like_images import encoded, packed, photo

COUNT = 120
Change = Callable[[Image.Image], bytes]


def inspected(path: Path, contents: Sequence[bytes]) -> Inspected:
    packed(path, {f"{number:05}": content for number, content in enumerate(contents)})
    with open_source(path) as files:
        return inspect(files, sorted(files.marks), DEFAULT_LIMITS)


def found(path: Path, contents: Sequence[bytes]) -> Duplicates:
    return find_duplicates(inspected(path, contents))


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
def test_planted_ones_are_found_and_no_others(tmp_path: Path, size: int, count: int) -> None:
    """Every picture is there once, and once more changed in some way."""
    originals = [photo(seed, size) for seed in range(count)]
    changes = list(CHANGES.values())
    changed = [changes[number % len(changes)](image) for number, image in enumerate(originals)]
    images = inspected(tmp_path / "a.zip", [encoded(image) for image in originals] + changed)
    every = np.ones(len(images.names), bool)
    pairs, distances = duplicates._near_pairs(images, np.flatnonzero(every))
    close = {(min(a, b), max(a, b)) for a, b in pairs[distances < STRICTNESS[0]].tolist()}
    planted = {(number, count + number) for number in range(count)}
    assert len(close & planted) >= 0.95 * count
    assert close <= planted


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


def test_tiles_and_crowds_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same groups, however many images are compared at a time, also where one has more close ones than are kept."""
    contents = [encoded(photo(seed)) for seed in range(COUNT)]
    contents += [encoded(photo(7), "JPEG", quality=q) for q in range(60, 90)]
    images = inspected(tmp_path / "a.zip", contents)
    expected = find_duplicates(images).groups.tolist()
    assert expected == [*range(COUNT), *[7] * 30]
    for rows, columns, crowded in ((7, 11, 64), (16, 16, 3), (1024, 16384, 5)):
        monkeypatch.setattr(duplicates, "_ROWS", rows)
        monkeypatch.setattr(duplicates, "_COLUMNS", columns)
        monkeypatch.setattr(duplicates, "_CROWDED", crowded)
        monkeypatch.setattr(duplicates, "_CLOSEST", 3)
        assert find_duplicates(images).groups.tolist() == expected
