"""The index of tar shards: made by reading headers and labels only, one window at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from autonl_core.datasets.limits import Limits
from autonl_core.datasets.names import is_image_name
from autonl_core.datasets.packed.class_names import read_class_names
from autonl_core.datasets.packed.index import Index, Place, image_name, split_folder
from autonl_core.datasets.packed.labels import LABEL_SUFFIXES, MAX_LABEL_BYTES, Label, class_of, read_label
from autonl_core.datasets.packed.places import Packed, PackedFile
from autonl_core.datasets.packed.tar_members import Member, TarMembers
from autonl_core.errors import DatasetError


class _Listed(NamedTuple):
    """One shard: its members without those that label others, and what these say, by key and then by suffix."""

    members: list[Member]
    labelling: list[Member]
    labels: dict[str, dict[str, Label]]


def index_tars(packed: Packed, limits: Limits) -> Index:
    """The files in tar shards.

    Raises:
        DatasetError: a shard is damaged or refused, a label names no class, or there are more than `folder_files`
            members.
        OSError: one cannot be read.
    """
    names = read_class_names(packed.others)
    index = Index(packed.files)
    left = limits.folder_files
    for number, file in enumerate(packed.files):
        listed = _list(file, left, limits)
        left -= len(listed.members) + len(listed.labelling)
        _add(index, number, listed, names)
    return index


def _list(file: PackedFile, left: int, limits: Limits) -> _Listed:
    listed = _Listed([], [], {})
    with TarMembers(file) as shard:
        for count, member in enumerate(shard):
            if count >= left:
                raise DatasetError(
                    f"the shards up to {file.name!r} have more than {limits.folder_files:,} members; add fewer shards"
                )
            suffix = _suffix(member.name)
            if suffix not in LABEL_SUFFIXES:
                listed.members.append(member)
                continue
            listed.labelling.append(member)
            label = read_label(suffix, shard.read(member)) if member.size_bytes <= MAX_LABEL_BYTES else None
            if label is not None:
                listed.labels.setdefault(_key(member.name), {})[suffix] = label
    return listed


def _add(index: Index, number: int, listed: _Listed, names: Mapping[int, str]) -> None:
    """Add the files of one shard. Where an image has a label, members with labels are no files of their own."""
    file = index.files[number]
    split = split_folder(file.name)
    used: set[str] = set()
    for member in listed.members:
        key = _key(member.name)
        folder = ""
        if is_image_name(member.name) and (said := listed.labels.get(key)) is not None:
            used.add(key)
            suffix = next(suffix for suffix in LABEL_SUFFIXES if suffix in said)
            folder = class_of(said[suffix], names, f"shard {file.name!r}: member {key[:200] + suffix!r}")
        index.add(image_name(split, folder, member.name), Place(number, member.offset, member.size_bytes))
    for member in listed.labelling:
        if _key(member.name) not in used:
            index.add(image_name(split, "", member.name), Place(number, member.offset, member.size_bytes))


def _key(name: str) -> str:
    """Of `webdataset`: up to the first dot of the last component; equal for the members of a sample."""
    start = name.rfind("/") + 1
    dot = name.find(".", start + 1)
    return name if dot < 0 else name[:dot]


def _suffix(name: str) -> str:
    """From the first dot of the last component on, in lower case, as `webdataset` has it."""
    return name[len(_key(name)) :].lower()
