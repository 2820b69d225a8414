"""The files and folders of a data source, sorted into images, other files, and what a system left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from autonl_core.datasets.data_source import FileSource, folders_of, links_out_of
from autonl_core.datasets.names import (
    Parts,
    is_image_name,
    is_left_behind,
    may_be_image,
    parts_of,
    starts_like_an_image,
)

_FIRST_BYTES = 16


@dataclass
class Listed:
    """Visible files by name, sorted, with the components of their names."""

    images: dict[str, Parts] = field(default_factory=dict)
    others: dict[str, Parts] = field(default_factory=dict)
    folders: set[Parts] = field(default_factory=set)  # visible ones without any file
    hidden: set[Parts] = field(default_factory=set)  # folders of images that are hidden themselves
    links_out: tuple[str, ...] = ()  # links to folders that are not entered


def list_visible(names: Iterable[str], files: FileSource | None = None) -> Listed:
    """Sort `names`. Files without a suffix that says what they are count as images if they begin like one.

    Without `files`, which has their content, only suffixes decide.
    """
    listed = Listed()
    for name in sorted(names):
        parts = parts_of(name)
        if is_left_behind(parts):
            if is_image_name(name) and not name.startswith("__MACOSX"):
                listed.hidden.update(parts[:at] for at in range(1, len(parts)) if parts[at - 1].startswith("."))
        elif is_image_name(name) or (files is not None and may_be_image(name) and _is_image(name, files)):
            listed.images[name] = parts
        else:
            listed.others[name] = parts
    if files is not None:
        listed.links_out = tuple(sorted(links_out_of(files)))
        found = (parts_of(name) for name in folders_of(files))
        listed.folders = {parts for parts in found if parts and not is_left_behind(parts)}
    return listed


def _is_image(name: str, files: FileSource) -> bool:
    return starts_like_an_image(files.read(name)[:_FIRST_BYTES])
