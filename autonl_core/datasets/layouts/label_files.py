"""Read classes from files of labels beside the images.

A layout of this kind is written as the files, joined by +, and the column: `labels.csv:breed`. `yolo` stands for one
text file per image that begins with the number of its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.layouts.folders import Folders
from autonl_core.datasets.layouts.image_tables import ImageTable, ImageTables, folder_part
from autonl_core.datasets.layouts.label_columns import (
    ONE_HOT,
    LabelColumn,
    can_be_classes,
    count_values,
    find_label_columns,
    find_split_column,
    one_hot_column,
)
from autonl_core.datasets.layouts.label_readings import AND, COLUMN, LabelReading, merged, read_column
from autonl_core.datasets.layouts.label_tables import SUFFIXES
from autonl_core.datasets.layouts.listed import Listed
from autonl_core.datasets.layouts.pattern import Place, composed
from autonl_core.datasets.layouts.yolo import YOLO, class_names, yolo_labels
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.names import suffix_of
from autonl_core.errors import DatasetError
from autonl_core.wording.counts import counted

_MIN_FOUND = 0.5  # share of rows whose image is there, for a table to be taken without a question
_SHOWN = 10  # files or columns in a message
_TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")  # of files that are tables; others may be anything


@dataclass
class Labels:
    """What the files of labels say.

    `doubtful` readings are possible, but need a user's word: most images of the table are missing, or its column
    numbers patients. `unused` says of each other table why it is not used.
    """

    readings: list[LabelReading] = field(default_factory=list)
    doubtful: list[LabelReading] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def is_label_layout(layout: str) -> bool:
    """Whether a layout is one of files of labels."""
    files = _files(layout)
    return layout == YOLO or (files != [] and all(suffix_of(file) in SUFFIXES for file in files))


@dataclass(frozen=True)
class LabelFiles:
    """The files of labels of a dataset."""

    tables: ImageTables
    listed: Listed
    folders: Folders
    files: FileSource
    limits: Limits

    def find(self) -> Labels:
        """All ways to read them that need no column to be chosen."""
        labels = Labels()
        found: list[LabelReading] = []
        missing: list[LabelReading] = []
        for file in self.tables.candidates:
            table = self.tables.table(file)
            readings = self._readings(table) if table is not None else []
            if table is not None and table.share_unfound() > _MIN_FOUND:
                missing += readings
                labels.unused.append(f"{file}: {_absent(table)}")
            elif readings:
                found += readings
            else:
                labels.unused += self._why_not(file, table)
        labels.readings, groups = _likeliest(merged(found))
        labels.doubtful = [*groups, *_likeliest(merged(missing))[0]]
        labels.unused += [f"{group.files[0]}: its column {group.column!r} is hardly the class" for group in groups]
        if not labels.readings:
            labels.readings += self._yolo()
        return labels

    def read(self, layout: str) -> LabelReading:
        """The reading that a user chose. Raises DatasetError, with what can be chosen, if there is none."""
        if layout == YOLO:
            if found := self._yolo():
                return found[0]
            raise DatasetError(
                f"layout={YOLO}: no text files of image names that begin with a class number, or one class"
            )
        wanted = _files(layout)
        if missing := [file for file in wanted if file not in self.listed.others]:
            shown = ", ".join(self.tables.candidates[:_SHOWN]) or "none"
            raise DatasetError(f"layout={layout}: there is no file {missing[0]!r}; files that may have labels: {shown}")
        tables = [table for file in wanted if (table := self.tables.table(file)) is not None]
        if suffix_of(layout) in SUFFIXES:
            chosen = _likeliest(merged(reading for table in tables for reading in self._readings(table)))[0]
        else:
            column = layout.rpartition(COLUMN)[2]
            chosen = merged(reading for table in tables if (reading := self._column(table, column)) is not None)
        if len(chosen) != 1:
            raise DatasetError(self._refusal(layout, tables))
        return chosen[0]

    def _readings(self, table: ImageTable) -> list[LabelReading]:
        """One for each column that may be the class."""
        rows = [row for row, _ in table.named()]
        split = find_split_column(table.columns, rows)
        columns = [column for column in table.columns if column != split]
        found = find_label_columns(columns, rows, self.limits.classes)
        return [read_column(table, column, self.folders) for column in found]

    def _column(self, table: ImageTable, name: str) -> LabelReading | None:
        """The reading of the column that a user chose, which may be any whose values can be classes."""
        rows = [row for row, _ in table.named()]
        if name == ONE_HOT and (column := one_hot_column(table.columns, rows)) is not None:
            return read_column(table, column, self.folders)
        if name not in table.columns or not can_be_classes(name, rows, self.limits.classes):
            return None
        return read_column(table, LabelColumn(name), self.folders)

    def _refusal(self, layout: str, tables: Sequence[ImageTable]) -> str:
        possible = [f"{table.file}{COLUMN}{column}" for table in tables for column in self._possible(table)]
        shown = ", ".join(possible[:_SHOWN]) or "none"
        column = layout.rpartition(COLUMN)[2]
        counts = [
            count_values(column, (row for row, _ in table.named())) for table in tables if column in table.columns
        ]
        why = "names no column of labels"
        if not tables:
            why = f"cannot be used: none of the rows of {' and '.join(_files(layout))} names an image here"
        elif counts:
            distinct, given = max(counts)
            why = (
                f"has {counted(distinct, 'different value')} for {counted(given, 'image')} here; classes are 2 to "
                f"{self.limits.classes:,} values, with two images each on average"
            )
        return f"layout={layout} {why}; the possible ones are: {shown}"

    def _possible(self, table: ImageTable) -> list[str]:
        """The columns that a user may choose."""
        rows = [row for row, _ in table.named()]
        one_hot = [ONE_HOT] if one_hot_column(table.columns, rows) is not None else []
        return one_hot + [column for column in table.columns if can_be_classes(column, rows, self.limits.classes)]

    def _why_not(self, file: str, table: ImageTable | None) -> list[str]:
        """Why a table has no reading; nothing of a file that may be no table."""
        if table is None:
            return [f"{file}: none of its rows names an image here"] if suffix_of(file) in _TABLE_SUFFIXES else []
        if possible := self._possible(table):
            shown = " or ".join(f"layout={file}{COLUMN}{column}" for column in possible[:_SHOWN])
            return [f"{file}: no column of it is the class unless you say so: {shown}"]
        return [f"{file}: no column has values that could be classes, 2 or more that repeat"]

    def _yolo(self) -> list[LabelReading]:
        labels, several, sources = yolo_labels(self.listed, self.files)
        if len(set(labels.values())) < 2:
            return []
        names, names_file = class_names(labels.values(), self.listed, self.files)
        places: Mapping[str, Place] = {
            image: Place(folder_part(self.folders, image), composed(names.get(label, label)))
            for image, label in labels.items()
        }
        used = (*sources, names_file) if names_file else tuple(sources)
        return [LabelReading(YOLO, places, files=used, several=tuple(several))]


def _likeliest(readings: Sequence[LabelReading]) -> tuple[list[LabelReading], list[LabelReading]]:
    """Those that may be taken, each with the others that could be meant; and those that number patients or the like.

    Columns that are called like labels go before all others.
    """
    named = [reading for reading in readings if reading.is_named]
    plain = [reading for reading in readings if not reading.is_named and not reading.is_group]
    taken, others = (named, plain) if named else (plain, [])
    return (
        [replace(reading, others=tuple(other.layout for other in others)) for reading in taken],
        [] if taken else [reading for reading in readings if reading.is_group],
    )


def _absent(table: ImageTable) -> str:
    unclear = len(table.unclear())
    what = "name several images" if unclear > len(table.rows) / 2 else "name no image here"
    share = unclear / len(table.rows) if unclear > len(table.rows) / 2 else table.share_unfound()
    return f"{share:.0%} of its rows {what}"


def _files(layout: str) -> list[str]:
    """The files that a layout names."""
    if layout in ("", YOLO):
        return []
    named = layout if suffix_of(layout) in SUFFIXES else layout.rpartition(COLUMN)[0]
    return named.split(AND)
