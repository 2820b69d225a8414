"""Names of classes that packed files only number: `classes.txt` with one name a line, or `classes.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from autonl_core.datasets.packed.places import PackedFile, read_part
from autonl_core.errors import DatasetError

CLASS_FILES = ("classes.txt", "classes.json", "class_names.txt", "class_names.json", "labels.txt", "labels.json")
_MAX_BYTES = 4 << 20


def read_class_names(others: Iterable[PackedFile]) -> Mapping[int, str]:
    """Class names by number, from the first file of `CLASS_FILES` that is beside the packed files; empty: none is.

    Raises:
        DatasetError: the file is too large, or is neither a list of names nor an object of names and numbers.
        OSError: it cannot be read.
    """
    named = {file.name: file for file in others}
    file = next((named[name] for name in CLASS_FILES if name in named), None)
    if file is None:
        return {}
    if file.size_bytes > _MAX_BYTES:
        raise DatasetError(
            f"{file.name} has {file.size_bytes:,} bytes, more than {_MAX_BYTES:,}; write one name a line"
        )
    try:
        text = read_part(file, 0, _MAX_BYTES).decode("utf-8-sig")
        names = _of_json(json.loads(text)) if file.name.endswith(".json") else dict(enumerate(_lines(text)))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file.name} cannot be read ({error}); write one class name a line, in UTF-8") from error
    return class_folders(names, file.name)


def class_folders(names: Mapping[int, str], source: str) -> Mapping[int, str]:
    """Names of folders by number. Raises DatasetError if one cannot be a folder, or two are equal."""
    folders = {number: folder_name(name, source) for number, name in names.items()}
    first: dict[str, int] = {}
    for number, name in folders.items():
        if name in first:
            raise DatasetError(
                f"{source}: the classes {first[name]} and {number} are both called {name[:100]!r}, and would become "
                "one; give each a name of its own"
            )
        first[name] = number
    return folders


def folder_name(name: str, source: str) -> str:
    """The class `name` as the name of a folder. Raises DatasetError if it cannot be one; `source`: where it is from."""
    name = name.strip()
    if not name or name in (".", "..") or "/" in name or "\0" in name or len(name) > 255:
        raise DatasetError(
            f"{source}: the class name {name[:100]!r} must have 1 to 255 characters, without '/'; choose another name"
        )
    return name


def _lines(text: str) -> list[str]:
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _of_json(found: object) -> dict[int, str]:
    if isinstance(found, list):
        return {number: str(name) for number, name in enumerate(found)}
    if isinstance(found, dict) and all(isinstance(number, int) for number in found.values()):
        return {number: str(name) for name, number in found.items()}
    if isinstance(found, dict):
        return {int(number): str(name) for number, name in found.items()}
    raise ValueError("neither a list of names nor an object")
