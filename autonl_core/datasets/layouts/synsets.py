"""The names of classes whose folders are called by their WordNet identifier, such as n01440764."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.layouts.label_tables import text_of
from autonl_core.datasets.names import suffix_of

_WNID = re.compile(r"n\d{8}")
_LINE = re.compile(r"(n\d{8})[\s,;:]+(?:\d+[\s,;:]+)?(.+)")
_SUFFIXES = (".txt", ".csv", ".tsv", ".json")
_MAX_BYTES = 16 << 20


def synset_names(
    classes: Iterable[str], others: Iterable[str], files: FileSource | None
) -> tuple[str, Mapping[str, str]]:
    """The file that names all these classes, and what each is called from now on: "n01440764 tench".

    Empty if the classes are not called by such identifiers, or no file names them all.
    """
    wnids = set(classes)
    if files is None or not wnids or not all(map(_WNID.fullmatch, wnids)):
        return "", {}
    for file in sorted(others, key=lambda name: ("synset" not in name.lower(), name)):
        if suffix_of(file) in _SUFFIXES:
            names = _names_in(files.read(file))
            if wnids <= names.keys():
                return file, {wnid: f"{wnid} {names[wnid]}" for wnid in wnids}
    return "", {}


def _names_in(content: bytes) -> dict[str, str]:
    if len(content) > _MAX_BYTES:
        return {}
    text = text_of(content)
    found = {}
    if text.lstrip().startswith(("{", "[")):
        found = _names_in_json(text)
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line.strip())) is not None:
            found.setdefault(match.group(1), _first(match.group(2)))
    return {wnid: name for wnid, name in found.items() if name}


def _names_in_json(text: str) -> dict[str, str]:
    """Of `{"0": ["n01440764", "tench"]}`, `{"n01440764": "tench"}` or `{"n01440764": ["tench", ...]}`."""
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        words = [word for word in (value if isinstance(value, list) else [value]) if isinstance(word, str)]
        both = [key, *words]
        wnids = [word for word in both if _WNID.fullmatch(word)]
        names = [word for word in both if not _WNID.fullmatch(word) and not word.isdecimal()]
        if len(wnids) == 1 and names:
            found[wnids[0]] = _first(names[0])
    return found


def _first(names: str) -> str:
    """The first of several synonyms: "tench, Tinca tinca"."""
    return names.split(",", maxsplit=1)[0].strip().strip('"').replace("_", " ").strip()
