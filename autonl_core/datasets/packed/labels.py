"""The class that a member beside an image says: `key.cls`, `key.json` or `key.txt`, as `webdataset` writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from autonl_core.datasets.packed.class_names import folder_name
from autonl_core.errors import DatasetError

LABEL_SUFFIXES = (".cls", ".json", ".txt")  # the first that an image has and that says a class decides
MAX_LABEL_BYTES = 64 << 10
CLASS_FIELDS = ("label", "class", "cls", "class_name", "category", "class_id", "label_id", "target")
_MAX_TEXT = 64  # characters of a `.txt` that is a class; a longer one is a caption
_NUMBER = re.compile(r"[+-]?\d{1,9}")
_BOXES = re.compile(r"\d+(?:\s+[\d.eE+-]+){4}")  # of YOLO: a class and a box

Label = int | str


def read_label(suffix: str, data: bytes) -> Label | None:
    """The class that a label member names or numbers; None if it says none, such as a caption."""
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None
    if suffix == ".json":
        return _of_json(text)
    if suffix == ".txt" and (len(text) > _MAX_TEXT or "\n" in text or _BOXES.match(text)):
        return None
    return _plain(text)


def class_of(label: Label, names: Mapping[int, str], where: str) -> str:
    """The name of the class folder for a label. Raises DatasetError, which calls its place `where`."""
    if isinstance(label, str):
        return folder_name(label, where)
    if not names:
        return str(label)
    if label not in names:
        known = f"{min(names)} to {max(names)}"
        raise DatasetError(
            f"{where} has the class {label}, but the file of class names has {known}; add its name there"
        )
    return names[label]


def _of_json(text: str) -> Label | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        found = next((found[name] for name in CLASS_FIELDS if isinstance(found.get(name), int | str)), None)
    if isinstance(found, bool):
        return None
    if isinstance(found, int):
        return found
    return _plain(found.strip()) if isinstance(found, str) else None


def _plain(text: str) -> Label | None:
    if _NUMBER.fullmatch(text):
        return int(text)
    return text or None
