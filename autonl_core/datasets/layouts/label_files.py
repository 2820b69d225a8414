"""Read classes from files of labels beside the images.

A layout of this kind is written as the files, joined by +, and the column: `labels.csv:breed`. `yolo` stands for one
text file per image that begins with the number of its class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.layouts.folders import Folders
from autonl_core.datasets.layouts.image_index import ImageIndex
from autonl_core.datasets.layouts.label_columns import Columns, find_columns
from autonl_core.datasets.layouts.label_tables import SUFFIXES, Row, Table, read_table
from autonl_core.datasets.layouts.listed import Listed
from autonl_core.datasets.layouts.pattern import Place, composed
from autonl_core.datasets.layouts.reading import Reading
from autonl_core.datasets.layouts.split_names import Part, split_part
from autonl_core.datasets.layouts.yolo import YOLO, class_names, yolo_labels
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.names import suffix_of
from autonl_core.errors import DatasetError

_AND, _COLUMN = "+", ":"
_EXAMPLES = "sample_submission"  # tables with made-up labels, as competitions have them


@dataclass(frozen=True)
class LabelReading(Reading):
    """What one column of labels says, in one file or in several that divide the images between them."""

    files: tuple[str, ...] = ()
    column: str = ""
    unfound: tuple[str, ...] = ()  # images that the files name and the dataset does not have
    several: tuple[str, ...] = ()  # images with several labels, which are not used


def is_label_layout(layout: str) -> bool:
    """Whether a layout is one of files of labels."""
    files = _files(layout)
    return layout == YOLO or (files != [] and all(suffix_of(file) in SUFFIXES for file in files))


def may_have_labels(file: str) -> bool:
    """Whether a file may say which class images have, by its name."""
    return suffix_of(file) in SUFFIXES and _EXAMPLES not in file.lower()


def read_labels(layout: str, listed: Listed, folders: Folders, files: FileSource, limits: Limits) -> list[LabelReading]:
    """All readings of files of labels; with a `layout`, only that one.

    Raises:
        DatasetError: there is no such `layout` here; says what there is.
    """
    index = ImageIndex(listed.images)
    context = _Context(index, folders, limits)
    candidates = [name for name in listed.others if may_have_labels(name)]
    wanted = _files(layout)
    if missing := [file for file in wanted if file not in listed.others]:
        shown = ", ".join(candidates[:10]) or "none"
        raise DatasetError(f"layout={layout}: there is no file {missing[0]!r}; files that may have labels: {shown}")
    readings: list[LabelReading] = []
    if layout != YOLO:
        tables = (read_table(name, files.read(name), context.finder(name)) for name in wanted or candidates)
        readings = _merged([found for table in tables if table is not None for found in context.readings(table)])
    if layout == YOLO or (not layout and not readings):
        readings += _yolo(listed, folders, files)
    if not layout:
        return readings
    chosen = [reading for reading in readings if layout in (reading.layout, reading.layout.rpartition(_COLUMN)[0])]
    if len(chosen) != 1:
        shown = ", ".join(reading.layout for reading in readings) or "none"
        raise DatasetError(f"layout={layout} names no column of labels; the possible ones are: {shown}")
    return chosen


@dataclass(frozen=True)
class _Context:
    """What is needed to understand a table."""

    index: ImageIndex
    folders: Folders
    limits: Limits

    def finder(self, file: str) -> _Finder:
        return _Finder(self.index, self.folders, file)

    def readings(self, table: Table) -> list[LabelReading]:
        """One for each column that may hold the labels."""
        find = self.finder(table.file)
        columns = find_columns(table, find, self.limits.classes)
        if columns is None:
            return []
        named = [(row, find.image(row.get(columns.image, ""))) for row in table.rows]
        unfound = tuple(row.get(columns.image, "") for row, image in named if image is None)
        return [self._reading(table, columns, label, named, unfound) for label in columns.labels]

    def _reading(
        self,
        table: Table,
        columns: Columns,
        label: str,
        named: Sequence[tuple[Row, str | None]],
        unfound: tuple[str, ...],
    ) -> LabelReading:
        places: dict[str, Place] = {}
        several = set()
        for row, image in named:
            text = columns.label_of(row, label)
            if image is None or not text:
                continue
            place = Place(self._part(table.file, row, columns, image), composed(text))
            if places.setdefault(image, place).class_name != place.class_name:
                several.add(image)
        kept = {image: places[image] for image in sorted(places.keys() - several)}
        layout = f"{table.file}{_COLUMN}{label}"
        return LabelReading(layout, kept, (table.file,), label, unfound, tuple(sorted(several)))

    def _part(self, file: str, row: Row, columns: Columns, image: str) -> Part | None:
        """The split of an image: by its row, the name of the table, or the folder that it is in."""
        if columns.split and (text := row.get(columns.split)):
            return split_part(text)
        return _file_part(file) or _folder_part(self.folders, image)


@dataclass(frozen=True)
class _Finder:
    """Finds images as a table calls them."""

    index: ImageIndex
    folders: Folders
    table: str

    def image(self, text: str) -> str | None:
        """The only image that is called so; of several, the only one in the split that the table is named after."""
        if not text:
            return None
        found = self.index.find(text, self.table[: self.table.rfind("/") + 1])
        if len(found) > 1 and (part := _file_part(self.table)) is not None:
            found = [name for name in found if _folder_part(self.folders, name) == part]
        return found[0] if len(found) == 1 else None

    def __call__(self, text: str) -> bool:
        return self.image(text) is not None


def _file_part(file: str) -> Part | None:
    """The split that a table is named after, or its folder: `train.csv`, `train/metadata.jsonl`."""
    parts = file.rpartition(".")[0].split("/")
    return next((part for text in reversed(parts) if (part := split_part(text)) is not None), None)


def _folder_part(folders: Folders, image: str) -> Part | None:
    path = folders.of.get(image, ())
    return split_part(path[0]) if path else None


def _files(layout: str) -> list[str]:
    """The files that a layout names."""
    if layout in ("", YOLO):
        return []
    named = layout if suffix_of(layout) in SUFFIXES else layout.rpartition(_COLUMN)[0]
    return named.split(_AND)


def _merged(readings: Iterable[LabelReading]) -> list[LabelReading]:
    """Readings of the same column in several files, such as train.csv and test.csv, as one if they share no image."""
    by_column: dict[str, LabelReading] = {}
    separate: list[LabelReading] = []
    for reading in readings:
        if not reading.places:
            continue
        other = by_column.setdefault(reading.column, reading)
        if other is reading:
            continue
        if other.places.keys().isdisjoint(reading.places):
            by_column[reading.column] = _joined(other, reading)
        elif any(
            other.places[name].class_name != reading.places[name].class_name
            for name in other.places.keys() & reading.places.keys()
        ):
            separate.append(reading)
    return [reading for reading in (*by_column.values(), *separate) if len(reading.counts()) > 1]


def _joined(one: LabelReading, other: LabelReading) -> LabelReading:
    files = (*one.files, *other.files)
    return LabelReading(
        f"{_AND.join(files)}{_COLUMN}{one.column}",
        dict(sorted({**one.places, **other.places}.items())),
        files,
        one.column,
        (*one.unfound, *other.unfound),
        (*one.several, *other.several),
    )


def _yolo(listed: Listed, folders: Folders, files: FileSource) -> list[LabelReading]:
    labels, several, sources = yolo_labels(listed, files)
    if len(set(labels.values())) < 2:
        return []
    names, names_file = class_names(labels.values(), listed, files)
    places: Mapping[str, Place] = {
        image: Place(_folder_part(folders, image), composed(names.get(label, label))) for image, label in labels.items()
    }
    used = (*sources, names_file) if names_file else tuple(sources)
    return [LabelReading(YOLO, places, used, "", (), tuple(several))]
