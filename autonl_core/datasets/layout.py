"""Assign each image a class, and a split if the dataset defines one, by its folders or by a file of labels.

What is unambiguous is recognised: class folders, below split folders or not, with folders around them, in many
languages; a file of labels beside images. What can be read in several ways is not guessed: `AmbiguousLayout` lists the
readings, and `layout=` chooses one (`layouts/pattern.py` says how a layout is written).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.layouts.choose import EXPECTED_LAYOUT, Chooser, why_unused
from autonl_core.datasets.layouts.class_folders import ClassFolders, class_folders
from autonl_core.datasets.layouts.folders import Folders, unwrap, unwrap_splits
from autonl_core.datasets.layouts.grammar import AUTO
from autonl_core.datasets.layouts.groupings import Grouping, find_groupings
from autonl_core.datasets.layouts.image_tables import ImageTables
from autonl_core.datasets.layouts.label_files import LabelFiles
from autonl_core.datasets.layouts.label_readings import LabelReading
from autonl_core.datasets.layouts.listed import Listed, list_visible
from autonl_core.datasets.layouts.pattern import SPLIT, Place
from autonl_core.datasets.layouts.reading import Reading
from autonl_core.datasets.layouts.split_names import Part
from autonl_core.datasets.layouts.synsets import synset_names
from autonl_core.datasets.layouts.texts_read_once import TextsReadOnce
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.names import FORMER_SUFFIXES, IMAGE_SUFFIXES
from autonl_core.errors import DatasetError

Split = Literal["train", "test"]

_STEERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the direction of other text


@dataclass(frozen=True)
class Layout:
    """Class names in order, and every usable image by name, with its split, if one is defined, and its label."""

    classes: tuple[str, ...]
    images: Mapping[str, tuple[Split | None, int]]
    outside: tuple[str, ...] = ()  # images that have no class
    wrapping: str = ""  # the folders around everything, ending with /
    validation: tuple[str, ...] = ()  # folders whose images join the training images
    validation_is_test: tuple[str, ...] = ()  # folders whose images are the test split, as there is no other
    only_split: str = ""  # the only split that is defined: a test split is drawn from it
    chosen: str = ""  # the layout, if the user chose it
    label_files: tuple[str, ...] = ()  # that say which class an image has
    label_column: str = ""  # of these files; empty if they have none, as text files per image
    other_columns: tuple[str, ...] = ()  # layouts of other columns that could be the class
    unfound: tuple[str, ...] = ()  # images named in them that are not there
    unclear: tuple[str, ...] = ()  # names in them that several images have
    several_labels: tuple[str, ...] = ()  # images to which they give more than one class
    synsets: str = ""  # the file with the names of class folders that are called like n01440764
    links_out: tuple[str, ...] = ()  # links to folders that are not entered
    folders: ClassFolders = field(default_factory=ClassFolders)
    groupings: tuple[Grouping, ...] = ()  # columns that say which images belong together, the closest first

    @property
    def tables(self) -> tuple[str, ...]:
        """The files that decide about classes or splits, beside the images."""
        return tuple(
            dict.fromkeys((*self.label_files, *(file for grouping in self.groupings for file in grouping.files)))
        )

    @property
    def is_split(self) -> bool:
        """Whether the splits are defined."""
        return any(split is not None for split, _ in self.images.values())


def open_layout(files: FileSource, where: str, limits: Limits, layout: str = AUTO) -> Layout:
    """Arrange the images of an open source; `where` is what messages call it. Raises as `read_layout`."""
    return read_layout(files.marks, where, limits, layout, files)


def read_layout(
    names: Iterable[str], where: str, limits: Limits, layout: str = AUTO, files: FileSource | None = None
) -> Layout:
    """Arrange the image files among `names`; `where` is what messages call the dataset.

    Without `files`, only names decide: files of labels are not read, and images need a suffix.

    Raises:
        AmbiguousLayout: it can be read in several ways.
        DatasetError: no images, no class folders, fewer than two classes, too many classes, a class name that cannot
            be shown, or a `layout` that is not one.
    """
    listed = list_visible(names, files)
    if not listed.images:
        suffixes = (*sorted(FORMER_SUFFIXES), *sorted(IMAGE_SUFFIXES - FORMER_SUFFIXES))
        raise DatasetError(f"{where} has no images ({', '.join(suffixes)})")
    folders = unwrap_splits(unwrap(Folders({name: parts[:-1] for name, parts in listed.images.items()})))
    tables = labels = None
    if files is not None:
        texts = TextsReadOnce(files)
        tables = ImageTables(listed, folders, texts)
        labels = LabelFiles(tables, listed, folders, texts, limits)
    chooser = Chooser(where, listed, folders, labels)
    reading = chooser.recognise() if layout == AUTO else chooser.read_as(layout)
    synsets, named = synset_names(reading.counts(), listed.others, files)
    reading = reading.renamed(named)
    _require_classes(set(reading.counts()), where, limits, why_unused(reading.unused_tables))
    built = _build(reading, listed, folders)
    if tables is not None:
        column = {(file, built.label_column) for file in built.label_files}
        built = replace(built, groupings=find_groupings(tables, column))
    return replace(built, synsets=synsets, chosen="" if layout == AUTO else layout)


def _build(reading: Reading, listed: Listed, folders: Folders) -> Layout:
    classes = tuple(sorted(reading.counts()))
    labels = {name: label for label, name in enumerate(classes)}
    places = {name: reading.places[name] for name in listed.images if name in reading.places}
    parts = {place.part for place in places.values()}
    splits = _splits_of(parts)
    built = Layout(
        classes=classes,
        images={name: (splits[place.part], labels[place.class_name]) for name, place in places.items()},
        outside=tuple(name for name in listed.images if name not in places),
        wrapping="".join(f"{part}/" for part in folders.wrapping),
        links_out=listed.links_out,
    )
    if parts - {None} and set(splits.values()) == {None}:
        built = replace(built, only_split=_folder_of(next(iter(parts - {None})), places, reading, folders)[0])
    if (validation := splits.get("validation")) is not None:
        named = _folder_of("validation", places, reading, folders)
        is_test = validation == "test"
        built = replace(built, validation_is_test=named) if is_test else replace(built, validation=named)
    if isinstance(reading, LabelReading):
        return replace(
            built,
            label_files=reading.files,
            label_column=reading.column,
            other_columns=reading.others,
            unfound=reading.unfound,
            unclear=reading.unclear,
            several_labels=reading.several,
        )
    return replace(built, folders=class_folders(reading.layout, folders, listed, places))


def _splits_of(parts: set[Part | None]) -> dict[Part | None, Split | None]:
    """Which split each part of a dataset is. Without a test split, validation images are it; one part is no split."""
    if len(parts - {None}) < 2:
        return dict.fromkeys(parts)
    validation: Split = "train" if "test" in parts else "test"
    if "train" not in parts:
        validation = "train"
    found: dict[Part | None, Split | None] = {"train": "train", "validation": validation, "test": "test", None: "train"}
    return {part: found[part] for part in parts}


def _folder_of(part: Part | None, places: Mapping[str, Place], reading: Reading, folders: Folders) -> tuple[str, ...]:
    """The folders of a part, or its name where a file of labels defines it."""
    components = reading.layout.split("/")
    if isinstance(reading, LabelReading) or SPLIT not in components:
        return (str(part),)
    at = components.index(SPLIT)
    return tuple(sorted({folders.of[name][at] for name, place in places.items() if place.part == part}))


def _require_classes(classes: set[str], where: str, limits: Limits, unused: str) -> None:
    if not classes:
        raise DatasetError(f"{where} has no class folders: expected {EXPECTED_LAYOUT}{unused}")
    if len(classes) < 2:
        one = f"{where} has one class, {min(classes)!r}; a classifier needs at least 2 class folders"
        raise DatasetError(f"{one}{unused}")
    if len(classes) > limits.classes:
        raise DatasetError(f"{where} has {len(classes):,} class folders; at most {limits.classes:,} are allowed")
    for name in sorted(classes):
        if not _can_be_shown(name):
            raise DatasetError(f"{where} has a class folder named {name!r}; rename it to printable characters")


def _can_be_shown(name: str) -> bool:
    """Any Unicode that is a name: with joiners, emoji and no-break spaces, without what steers terminals or lines."""
    return not any(char in _STEERING or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name)
