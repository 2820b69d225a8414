"""One text file per image whose lines begin with the number of a class, as YOLO tools write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import yaml

from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.layouts.label_tables import text_of
from autonl_core.datasets.layouts.listed import Listed
from autonl_core.datasets.names import suffix_of

YOLO = "yolo"  # as a layout
_LINE = re.compile(r"(\d+)(?:\s+-?[\d.]+(?:e-?\d+)?)*")
_NAME_FILES = re.compile(
    r"(?:.*/)?(?:classes|class_names|names|labels|obj|_darknet|predefined_classes)\.(?:txt|names|labels)"
)
_DATA_FILES = (".yaml", ".yml")
_MAX_BYTES = 1 << 20


def yolo_labels(listed: Listed, files: FileSource) -> tuple[dict[str, str], list[str], list[str]]:
    """The class number of each image, the images with several classes, and the files that say so."""
    texts = {_key(name): name for name in listed.others if suffix_of(name) == ".txt"}
    labels: dict[str, str] = {}
    several, used = [], []
    for image in listed.images:
        text = texts.get(_key(image))
        numbers = _numbers(files.read(text)) if text is not None else None
        if text is None or not numbers:
            continue
        used.append(text)
        if len(numbers) == 1:
            labels[image] = numbers.pop()
        else:
            several.append(image)
    return labels, several, used


def class_names(numbers: Iterable[str], listed: Listed, files: FileSource) -> tuple[Mapping[str, str], str]:
    """The names of class numbers, and the file that has them; empty if no file names all of them."""
    wanted = set(numbers)
    for name in listed.others:
        found: dict[str, str] = {}
        if suffix_of(name) in _DATA_FILES:
            found = _names_in_yaml(files.read(name))
        elif _NAME_FILES.fullmatch(name.lower()):
            lines = [line.strip() for line in text_of(files.read(name)).splitlines()]
            found = {str(number): line for number, line in enumerate(line for line in lines if line)}
        if wanted <= found.keys():
            return found, name
    return {}, ""


def _key(name: str) -> str:
    """Equal for an image and its text: without suffix, and with `images` for `labels`."""
    parts = name[: name.rfind(".")].split("/") if name.rfind(".") > name.rfind("/") else name.split("/")
    return "/".join("images" if part == "labels" else part for part in parts)


def _numbers(content: bytes) -> set[str]:
    """The class numbers in a text; none if it is another kind of text."""
    if len(content) > _MAX_BYTES:
        return set()
    found = set()
    for line in text_of(content).split("\n"):
        if not line.strip():
            continue
        if (match := _LINE.fullmatch(line.strip())) is None:
            return set()
        found.add(match.group(1))
    return found


def _names_in_yaml(content: bytes) -> dict[str, str]:
    if len(content) > _MAX_BYTES:
        return {}
    try:
        data = yaml.safe_load(text_of(content))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    names = data.get("names") if isinstance(data, dict) else None
    pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ()
    return {str(number): str(name) for number, name in pairs if isinstance(number, int) and isinstance(name, str | int)}
