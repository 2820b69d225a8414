"""Readings of tables: one column as the class, in one file or in several that divide the images between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autonl_core.datasets.layouts.folders import Folders
from autonl_core.datasets.layouts.image_tables import ImageTable, file_part, folder_part
from autonl_core.datasets.layouts.label_columns import LabelColumn, find_split_column
from autonl_core.datasets.layouts.label_tables import Row
from autonl_core.datasets.layouts.pattern import Place, composed
from autonl_core.datasets.layouts.reading import Reading
from autonl_core.datasets.layouts.split_names import Part, split_part

AND, COLUMN = "+", ":"  # in a layout: labels.csv+more.csv:breed


@dataclass(frozen=True)
class LabelReading(Reading):
    """What one column of labels says.

    `others` are the layouts of other columns that could be the class. `is_named`: the name of the column says that it
    is; `is_group`: it numbers patients, cameras or the like, and is hardly the class.
    """

    files: tuple[str, ...] = ()
    column: str = ""
    unfound: tuple[str, ...] = ()  # images that the files name and the dataset does not have
    unclear: tuple[str, ...] = ()  # names in the files that several images have
    several: tuple[str, ...] = ()  # images with several labels, which are not used
    others: tuple[str, ...] = ()
    is_named: bool = False
    is_group: bool = False


def read_column(table: ImageTable, label: LabelColumn, folders: Folders) -> LabelReading:
    """The reading of one column of a table."""
    named = list(table.named())
    split = find_split_column([each for each in table.columns if each != label.name], [row for row, _ in named])
    places: dict[str, Place] = {}
    several = set()
    for row, image in named:
        if not (text := label.label_of(row)):
            continue
        place = Place(_part(table.file, row, split, image, folders), composed(text))
        if places.setdefault(image, place).class_name != place.class_name:
            several.add(image)
    kept = {image: places[image] for image in sorted(places.keys() - several)}
    return LabelReading(
        f"{table.file}{COLUMN}{label.name}",
        kept,
        files=(table.file,),
        column=label.name,
        unfound=table.unfound(),
        unclear=table.unclear(),
        several=tuple(sorted(several)),
        is_named=label.is_named,
        is_group=label.is_group,
    )


def merged(readings: Iterable[LabelReading]) -> list[LabelReading]:
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


def _part(file: str, row: Row, split: str, image: str, folders: Folders) -> Part | None:
    """The split of an image: by its row, the name of the table, or the folder that it is in."""
    if split and (text := row.get(split)):
        return split_part(text)
    return file_part(file) or folder_part(folders, image)


def _joined(one: LabelReading, other: LabelReading) -> LabelReading:
    files: Sequence[str] = (*one.files, *other.files)
    return LabelReading(
        f"{AND.join(files)}{COLUMN}{one.column}",
        dict(sorted({**one.places, **other.places}.items())),
        files=tuple(files),
        column=one.column,
        unfound=(*one.unfound, *other.unfound),
        unclear=(*one.unclear, *other.unclear),
        several=(*one.several, *other.several),
        is_named=one.is_named,
        is_group=one.is_group,
    )
