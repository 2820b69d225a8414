"""Files that say how a dataset is to be corrected."""

from __future__ import annotations

import csv
from pathlib import Path

from cli.errors import CommandError

_COLUMNS = ("image", "class")


def read_names(path: Path) -> list[str]:
    """The names of images, one per line; empty lines are skipped. Raises CommandError if it is no text."""
    return [line for line in _text(path).splitlines() if line.strip()]


def read_classes(path: Path) -> dict[str, str]:
    """The class of every image in a table with the columns `image` and `class`.

    Raises:
        CommandError: it is no text, lacks a column, or gives an image two classes.
    """
    rows = list(csv.DictReader(_text(path).splitlines()))
    found = [] if not rows else list(rows[0])
    if any(column not in found for column in _COLUMNS):
        raise CommandError(f"{path} needs the columns image and class; it has: {', '.join(found) or 'no rows'}")
    classes: dict[str, str] = {}
    for row in rows:
        image, label = (row[column] or "" for column in _COLUMNS)
        if classes.setdefault(image, label) != label:
            raise CommandError(f"{path} gives {image!r} two classes: {classes[image]!r} and {label!r}")
    return classes


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read as UTF-8 text: {error}") from error
