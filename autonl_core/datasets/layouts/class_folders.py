"""What the folders of classes hold beside the images that are used: classes without images, folders inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autonl_core.datasets.layouts.folders import Folders, says_nothing
from autonl_core.datasets.layouts.listed import Listed
from autonl_core.datasets.layouts.pattern import CLASS, CLASS_NUMBER, Pattern
from autonl_core.datasets.layouts.split_names import split_part
from autonl_core.datasets.names import DOCUMENT_SUFFIXES, Parts, suffix_of


@dataclass(frozen=True)
class ClassFolders:
    """Folders by name, and the images that are in a split inside a class."""

    empty: tuple[str, ...] = ()  # like those of classes, without any image that can be used
    documents: tuple[str, ...] = ()  # the same, with nothing but texts and tables
    hidden: tuple[str, ...] = ()  # not entered, because their names begin with a dot
    inside: tuple[str, ...] = ()  # below those of classes, whose images belong to the class around
    split_inside: tuple[str, ...] = ()  # images below a folder that is named like a split, inside a class


def class_folders(layout: str, folders: Folders, listed: Listed, used: Mapping[str, object]) -> ClassFolders:
    """Look for them in a layout of folders; `used` are the images that have a class."""
    pattern = Pattern.parse(layout)
    if pattern.components[-1] == CLASS_NUMBER:
        return ClassFolders()
    depth = _depth(pattern)
    used_folders = {folders.of[image][:depth] for image in used}
    with_images = {pattern.class_of_folder(path) for path in used_folders}
    contents = _contents(pattern, folders, listed)
    bare = {name: files for name, files in contents.items() if name not in with_images}
    documents = {name for name, files in bare.items() if files and all(map(_is_document, files))}
    hidden = {name for path in listed.hidden if (name := _class_of(path, pattern, folders)) is not None}
    inside, split_inside = _below(pattern, folders, used)
    return ClassFolders(
        empty=tuple(f"{name} ({_in_words(bare[name])})" for name in sorted(bare.keys() - documents)),
        documents=tuple(sorted(documents)),
        hidden=tuple(sorted(hidden)),
        inside=inside,
        split_inside=split_inside,
    )


def _contents(pattern: Pattern, folders: Folders, listed: Listed) -> dict[str, list[str]]:
    """The classes that have a folder, and the files in it that are no images."""
    found: dict[str, list[str]] = {}
    for path in listed.folders:
        for at in range(1, len(path) + 1):
            if (name := _class_of(path[:at], pattern, folders)) is not None:
                found.setdefault(name, [])
    for file, parts in listed.others.items():
        for at in range(1, len(parts)):
            if (name := _class_of(parts[:at], pattern, folders)) is not None:
                found.setdefault(name, []).append(file)
    return found


def _class_of(path: Parts, pattern: Pattern, folders: Folders) -> str | None:
    stripped = folders.strip(path)
    return None if stripped is None else pattern.class_of_folder(stripped)


def _below(pattern: Pattern, folders: Folders, used: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Folders below those that the layout names, and the images in those of them that are named like splits."""
    depth = len(pattern.components)
    below: dict[Parts, set[str]] = {}
    split_inside = []
    for image in used:
        parts = folders.of[image]
        if len(parts) > depth:
            below.setdefault(parts[:depth], set()).add(parts[depth])
            if any(split_part(folder) for folder in parts[depth:]):
                split_inside.append(image)
    telling = [
        "/".join((*path, inner))
        for path, found in sorted(below.items())
        for inner in sorted(found)
        if not (len(found) == 1 and says_nothing(inner, path[-1])) and split_part(inner) is None
    ]
    return tuple(telling), tuple(split_inside)


def _depth(pattern: Pattern) -> int:
    return max(at for at, component in enumerate(pattern.components) if component == CLASS) + 1


def _is_document(file: str) -> bool:
    return suffix_of(file) in DOCUMENT_SUFFIXES


def _in_words(files: list[str]) -> str:
    if not files:
        return "empty"
    suffixes = sorted({suffix_of(file) or "no suffix" for file in files})
    return f"{len(files):,} {'file' if len(files) == 1 else 'files'}: {', '.join(suffixes[:5])}"
