"""Tables whose rows name images: which column does, and which image each row means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.layouts.folders import Folders
from autonl_core.datasets.layouts.image_index import ImageIndex
from autonl_core.datasets.layouts.label_tables import SUFFIXES, Row, Table, read_table
from autonl_core.datasets.layouts.listed import Listed
from autonl_core.datasets.layouts.split_names import Part, split_part
from autonl_core.datasets.names import suffix_of

_EXAMPLES = "sample_submission"  # tables with made-up labels, as competitions have them
_TRIED_ROWS = 2_000


def may_have_labels(file: str) -> bool:
    """Whether a file may say which class images have, by its name."""
    return suffix_of(file) in SUFFIXES and _EXAMPLES not in file.lower()


@dataclass(frozen=True)
class ImageTable:
    """A table, its column of images, and for each row the images that this may mean."""

    file: str
    rows: Sequence[Row]
    image: str
    found: Sequence[Sequence[str]]
    columns: Sequence[str]  # all others

    def named(self) -> Iterator[tuple[Row, str]]:
        """Rows that name one image, with it."""
        return ((row, images[0]) for row, images in zip(self.rows, self.found, strict=True) if len(images) == 1)

    def unfound(self) -> tuple[str, ...]:
        """What rows call images that are not there."""
        return tuple(row[self.image] for row, images in self._naming() if not images)

    def unclear(self) -> tuple[str, ...]:
        """What rows call an image where several images are called so."""
        return tuple(row[self.image] for row, images in self._naming() if len(images) > 1)

    def share_unfound(self) -> float:
        """The share of the rows without an image of their own."""
        return 1 - sum(len(images) == 1 for images in self.found) / max(1, len(self.rows))

    def _naming(self) -> Iterator[tuple[Row, Sequence[str]]]:
        return ((row, images) for row, images in zip(self.rows, self.found, strict=True) if row.get(self.image))


class ImageTables:
    """The tables among the files of a dataset; each is read once, when it is asked for."""

    def __init__(self, listed: Listed, folders: Folders, files: FileSource) -> None:
        self._listed, self._folders, self._files = listed, folders, files
        self._index: ImageIndex | None = None
        self._tables: dict[str, ImageTable | None] = {}

    @property
    def candidates(self) -> list[str]:
        """The files that may be tables, by their names."""
        return [name for name in self._listed.others if may_have_labels(name)]

    def table(self, file: str) -> ImageTable | None:
        """The table in a file; None if there is none that names an image."""
        if file not in self._tables:
            self._index = self._index or ImageIndex(self._listed.images)
            find = Finder(self._index, self._folders, file)
            table = read_table(file, self._files.read(file), lambda text: len(find(text)) == 1)
            self._tables[file] = _of_images(table, find) if table is not None else None
        return self._tables[file]


@dataclass(frozen=True)
class Finder:
    """Finds images as a table calls them."""

    index: ImageIndex
    folders: Folders
    file: str

    def __call__(self, text: str) -> Sequence[str]:
        """The images that are called so; of several, those in the split that the table is named after."""
        if not text:
            return ()
        found = self.index.find(text, self.file[: self.file.rfind("/") + 1])
        if len(found) > 1 and (part := file_part(self.file)) is not None:
            found = [name for name in found if folder_part(self.folders, name) == part] or found
        return found


def file_part(file: str) -> Part | None:
    """The split that a table is named after, or its folder: `train.csv`, `train/metadata.jsonl`."""
    parts = file.rpartition(".")[0].split("/")
    return next((part for text in reversed(parts) if (part := split_part(text)) is not None), None)


def folder_part(folders: Folders, image: str) -> Part | None:
    """The split whose folder an image is in."""
    path = folders.of.get(image, ())
    return split_part(path[0]) if path else None


def _of_images(table: Table, find: Finder) -> ImageTable | None:
    tried = table.rows[:: max(1, len(table.rows) // _TRIED_ROWS)]
    counts = {column: sum(len(find(row.get(column, ""))) == 1 for row in tried) for column in table.columns}
    image = max(counts, key=lambda column: counts[column], default=None)  # the first of equal ones
    if image is None or not counts[image]:
        return None
    found = [find(row.get(image, "")) for row in table.rows]
    return ImageTable(table.file, table.rows, image, found, [each for each in table.columns if each != image])
