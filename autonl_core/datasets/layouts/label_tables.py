"""Tables in the files that people keep beside their images: CSV, JSON, JSON lines, COCO, lists of names and labels."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from autonl_core.datasets.names import suffix_of

Row = Mapping[str, str]
IsImage = Callable[[str], bool]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
_DELIMITERS = ",;\t| "
_TRIED_ROWS = 50  # the first ones, in which a delimiter has to give images
_TRIED_LATER = 200  # and rows spread evenly over the others
_ENTRY_COLUMNS = ("file", "label")  # of {"a.jpg": "cat"}
T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """Rows of text by the names of their columns, from one file."""

    file: str
    rows: list[Row]

    @property
    def columns(self) -> list[str]:
        """In the order of the first rows."""
        return list(dict.fromkeys(column for row in self.rows[:_TRIED_ROWS] for column in row))


def read_table(file: str, content: bytes, is_image: IsImage) -> Table | None:
    """The table in a file, if there is one that names images; `is_image` knows which texts do."""
    text = text_of(content)
    try:
        rows = _json_rows(text) if _is_json(file, text) else _text_rows(file, text, is_image)
    except (ValueError, RecursionError, csv.Error):  # a document of another kind
        return None
    return Table(file, rows) if rows else None


def text_of(content: bytes) -> str:
    """UTF-8, UTF-16 if it says so, or the code page of Western Windows."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _is_json(file: str, text: str) -> bool:
    return suffix_of(file) in (".json", ".jsonl", ".ndjson") or text.lstrip()[:1] == "{"


def _json_rows(text: str) -> list[Row]:
    try:
        data = json.loads(text)
    except ValueError:
        data = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(data, dict):
        if {"images", "annotations", "categories"} <= data.keys():
            return list(_coco_rows(data))
        lists = [value for value in data.values() if isinstance(value, list) and value]
        if len(lists) == 1 and all(isinstance(entry, dict) for entry in lists[0]):
            data = lists[0]
        else:
            return [
                dict(zip(_ENTRY_COLUMNS, (key, str(value)), strict=True))
                for key, value in data.items()
                if _plain(value)
            ]
    if not isinstance(data, list):
        return []
    return [{str(key): _text(value) for key, value in row.items() if _plain(value)} for row in data if _is_row(row)]


def _coco_rows(data: Mapping[str, object]) -> Iterator[Row]:
    """One row per annotation: the file of its image, and the name of its category."""
    files = {image.get("id"): image.get("file_name") for image in _rows_of(data["images"])}
    names = {category.get("id"): category.get("name") for category in _rows_of(data["categories"])}
    for annotation in _rows_of(data["annotations"]):
        file, name = files.get(annotation.get("image_id")), names.get(annotation.get("category_id"))
        if isinstance(file, str) and isinstance(name, str):
            yield {"file_name": file, "category": name}


def _rows_of(value: object) -> list[dict[str, object]]:
    return [row for row in value if _is_row(row)] if isinstance(value, list) else []


def _is_row(value: object) -> bool:
    return isinstance(value, dict)


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float) or value is None


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _text_rows(file: str, text: str, is_image: IsImage) -> list[Row]:
    """With the delimiter that gives most images in some rows; the first row may be one of names or not."""
    best: list[list[str]] = []
    most = 0
    lines = text.splitlines()
    tried = [*lines[:_TRIED_ROWS], *lines[_TRIED_ROWS :: max(1, len(lines) // _TRIED_LATER)]]
    for delimiter in _DELIMITERS:
        if delimiter == " " and suffix_of(file) != ".txt":
            continue
        found = sum(len(cells) > 1 and any(map(is_image, cells)) for cells in _cells(tried, delimiter))
        if found > most:
            best, most = list(_cells(io.StringIO(text, newline=""), delimiter)), found
    if not best:
        return []
    header = best[0]
    if any(map(is_image, header)):
        header = [str(number) for number in range(1, len(header) + 1)]
    else:
        best = best[1:]
    return [dict(zip(header, cells, strict=False)) for cells in best if len(cells) > 1]


def _cells(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == " ":
        return ([*line.strip().rsplit(maxsplit=1)] for line in lines if line.strip())
    return ([cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter))
