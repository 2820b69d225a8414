"""Mirroring is off, or warned about, where a mirrored image shows another class; elsewhere nothing is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autonl_core.dataset_check.check import check_dataset
from autonl_core.datasets.check_report import DatasetProblem
from autonl_core.datasets.scan import scan
from tests.autonl_core.oriented_images import arrow, boot, clock, hand, letter
from tests.autonl_core.photo_like_images import encoded, packed, photo

Picture = Callable[[np.random.Generator, Any], Image.Image]
EACH = 50


def drawn(path: Path, picture: Picture, classes: Mapping[str, object], each: int = EACH) -> Path:
    """A zip with `each` pictures of every class, drawn with the value that it maps to."""
    rng = np.random.default_rng(7)
    files = {f"{name}/{n:03}.png": encoded(picture(rng, value)) for name, value in classes.items() for n in range(each)}
    return packed(path, files)


def checked(path: Path) -> tuple[bool, list[DatasetProblem]]:
    """Whether images may be mirrored, and what is said about that."""
    work = path.parent / "work"
    work.mkdir()
    result = check_dataset("set", path, work)
    assert result.spec is not None
    said = [problem for problem in result.report.problems if "mirror" in problem.code]
    assert result.spec.horizontal_flip or said
    return result.spec.horizontal_flip, said


def numbered(values: str | list[str] | range) -> dict[str, object]:
    """Names that say nothing: kind-01, kind-02, ..."""
    return {f"kind-{number:02}": value for number, value in enumerate(values, 1)}


def test_names_decide_and_the_sentence_says_how_to_mirror_nevertheless(tmp_path: Path) -> None:
    path = drawn(tmp_path / "a.zip", arrow, {"go_left": "left", "go_right": "right", "go_up": "up"})
    mirrors, (said,) = checked(path)
    assert not mirrors
    assert (said.code, said.severity, said.count) == ("mirrored_class_names", "info", 0)
    assert "'go_left' and 'go_right'" in said.detail
    assert '"augment": {"horizontal_flip": true}' in said.detail
    assert not scan("set", path).horizontal_flip


@pytest.mark.long
@pytest.mark.parametrize(
    ("picture", "values", "pair"),
    [
        (arrow, ["left", "right"], ("kind-01", "kind-02")),
        (arrow, ["up", "left", "down", "right"], ("kind-02", "kind-04")),
        (letter, "bdo", ("kind-01", "kind-02")),
        (letter, "pxq", ("kind-01", "kind-03")),
        (hand, ["left", "right"], ("kind-01", "kind-02")),
        (clock, range(1, 13), ("kind-03", "kind-09")),
    ],
)
def test_pictures_decide_where_names_say_nothing(
    tmp_path: Path, picture: Picture, values: Any, pair: tuple[str, str]
) -> None:
    path = drawn(tmp_path / "a.zip", picture, numbered(values))
    mirrors, (said,) = checked(path)
    assert not mirrors
    assert (said.code, said.severity) == ("mirrored_classes", "info")
    if len(values) < 12:  # of five pairs of hours any may come first
        assert f"{pair[0]!r} and {pair[1]!r}" in said.detail
    assert '"augment": {"horizontal_flip": true}' in said.detail
    assert scan("set", path).horizontal_flip  # which opens no images


@pytest.mark.long
@pytest.mark.parametrize(
    ("picture", "values"),
    [
        (boot, ["low", "middle", "high"]),  # all of them face left
        (arrow, ["up", "down"]),
        (letter, "oxi"),
        (lambda rng, value: photo(int(rng.integers(2**31)), 48), "abc"),
    ],
)
def test_nothing_is_said_where_mirrored_pictures_still_show_their_class(
    tmp_path: Path, picture: Picture, values: Any
) -> None:
    assert checked(drawn(tmp_path / "a.zip", picture, numbered(values))) == (True, [])


def test_pictures_of_letters_are_not_mirrored_though_few_letters_mirror_another(tmp_path: Path) -> None:
    mirrors, (said,) = checked(drawn(tmp_path / "a.zip", letter, {glyph: glyph for glyph in "EFGJKLNPRSZ"}, each=30))
    assert not mirrors
    assert said.code in ("mirrored_glyphs", "mirrored_classes")


def test_photos_in_folders_named_by_digits_are_mirrored(tmp_path: Path) -> None:
    """Exporters name the classes of photos so."""
    names = {str(number): number for number in range(10)}

    def scene(rng: np.random.Generator, value: int) -> Image.Image:
        return photo(int(rng.integers(2**31)), 48)

    assert checked(drawn(tmp_path / "a.zip", scene, names, each=30)) == (True, [])
