"""Find the only way to read a dataset, or read it as its user chose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from autonl_core.datasets.layouts.folders import Folders
from autonl_core.datasets.layouts.grammar import AUTO
from autonl_core.datasets.layouts.label_files import LabelFiles, Labels, is_label_layout
from autonl_core.datasets.layouts.listed import Listed
from autonl_core.datasets.layouts.pattern import CLASS_NUMBER, SPLIT, Pattern, Place
from autonl_core.datasets.layouts.reading import Reading
from autonl_core.datasets.layouts.recognise import Recognised, recognise
from autonl_core.datasets.layouts.split_names import split_part
from autonl_core.datasets.names import Parts
from autonl_core.errors import AmbiguousLayout, DatasetError

EXPECTED_LAYOUT = "CLASS/image, or train/CLASS/image and test/CLASS/image"
_SHOWN_TABLES = 5
_MANY_LABELS = "has several files or columns of labels"
_OTHER_LABELS = "has folders and files of labels that divide the images differently"


def require_layout(layout: str) -> None:
    """Raises DatasetError, which says how a layout is written, if this is none."""
    if layout != AUTO and not is_label_layout(layout):
        Pattern.parse(layout)


@dataclass(frozen=True)
class Chooser:
    """What is known of the files of a dataset; `where` is what messages call it.

    Without `label_files`, only folders and names decide.
    """

    where: str
    listed: Listed
    folders: Folders
    label_files: LabelFiles | None

    def recognise(self) -> Reading:
        """The only way to read it. Raises AmbiguousLayout, or DatasetError if there is none."""
        found = recognise(self.folders)
        readings = [self.apply(pattern, found.left_out) for pattern in found.patterns]
        if found.is_ambiguous:
            readings = _different(readings)
        labels = self.label_files.find() if self.label_files is not None else Labels()
        labelled = labels.readings
        if (labelled or labels.doubtful) and not any(len(reading.counts()) > 1 for reading in readings):
            readings = []
        if readings and not _disagree(readings, labelled):
            return replace(self._require_one(found, readings), unused_tables=tuple(labels.unused))
        if len(labelled) == 1 and not readings:
            return labelled[0]
        if labelled:
            why = _OTHER_LABELS if readings else _MANY_LABELS
            raise self._ambiguous(why, [*readings, *labelled])
        raise self._no_classes(labels)

    def read_as(self, layout: str) -> Reading:
        """Read it as the user chose to. Raises DatasetError."""
        if is_label_layout(layout):
            if self.label_files is None:
                raise DatasetError(f"layout={layout} names a file of labels, which cannot be read here")
            return self.label_files.read(layout)
        pattern = Pattern.parse(layout)
        reading = self.apply(pattern, frozenset())
        if not reading.places:
            shown = next(iter(self.listed.images))
            raise DatasetError(
                f"no image of {self.where} fits layout={layout}: the first one is {shown!r}"
                f"{_skipped(self.folders)}; write a layout that fits it, or leave the choice open (layout={AUTO})"
            )
        return reading

    def apply(self, pattern: Pattern, left_out: frozenset[str]) -> Reading:
        """The reading of a pattern, without the outermost folders that are left out."""
        by_file = pattern.components[-1] == CLASS_NUMBER
        of = self._all_folders() if by_file else self.folders.of
        places: dict[str, Place] = {}
        known: dict[Parts, Place | None] = {}  # images of a folder have one place, unless files name classes
        for name, folders in of.items():
            if folders and folders[0] in left_out:
                continue
            if by_file or folders not in known:
                known[folders] = pattern.place(folders, self.listed.images[name][-1])
            if (place := known[folders]) is not None:
                places[name] = place
        return Reading(str(pattern), places).with_composed_names()

    def _all_folders(self) -> dict[str, Parts]:
        """Those of every image, those outside of folders too."""
        depth = len(self.folders.wrapping)
        return {name: self.folders.of.get(name, parts[depth:-1]) for name, parts in self.listed.images.items()}

    def _require_one(self, found: Recognised, readings: Sequence[Reading]) -> Reading:
        if not found.is_ambiguous:
            return readings[0]
        viable = [reading for reading in readings if len(reading.counts()) > 1]
        if len(viable) > 1:
            raise self._ambiguous(found.why, viable)
        raise DatasetError(f"{self.where} {found.why}")

    def _ambiguous(self, why: str, readings: Iterable[Reading]) -> AmbiguousLayout:
        return AmbiguousLayout(self.where, why, [reading.summary() for reading in readings])

    def _no_classes(self, labels: Labels) -> DatasetError:
        splits = bool(self.folders.tops()) and all(map(split_part, self.folders.tops()))
        inside = " in its split folders" if splits else ""
        why = f"has no class folders{inside}"
        numbered = self._numbered(splits)
        if labels.doubtful or numbered:
            reasons = f"{why}{why_unused(labels.unused)}{', but its files are numbered' if numbered else ''}"
            return self._ambiguous(reasons, [*labels.doubtful, *numbered])
        return DatasetError(f"{self.where} {why}: expected {EXPECTED_LAYOUT}{why_unused(labels.unused)}")

    def _numbered(self, splits: bool) -> list[Reading]:
        """The reading of files that are named like their classes, if all that should have a class are."""
        pattern = Pattern((SPLIT, CLASS_NUMBER) if splits else (CLASS_NUMBER,))
        numbered = self.apply(pattern, frozenset())
        counts = numbered.counts()
        others = [name for name in self.listed.images if name not in numbered.places]
        tested = {name for name in others if splits and split_part(self.folders.of.get(name, ("",))[0]) == "test"}
        return [numbered] if len(counts) > 1 and min(counts.values()) > 1 and len(others) == len(tested) else []


def why_unused(tables: Sequence[str]) -> str:
    """Why tables beside the images are not used, as a message ends."""
    more = f"; and {len(tables) - _SHOWN_TABLES} more" if len(tables) > _SHOWN_TABLES else ""
    return f"; tables that are not used: {'; '.join(tables[:_SHOWN_TABLES])}{more}" if tables else ""


def _different(readings: Iterable[Reading]) -> list[Reading]:
    """Readings with at least one class, each set of classes once."""
    kept: list[Reading] = []
    for reading in readings:
        if reading.places and all(reading.places != other.places for other in kept):
            kept.append(reading)
    return kept


def _disagree(readings: Sequence[Reading], labelled: Sequence[Reading]) -> bool:
    """Whether a file of labels divides most images in another way than every reading of the folders."""
    most = max(len(reading.places) for reading in readings) / 2
    serious = [other for other in labelled if len(other.places) >= most]
    return bool(serious) and not any(_same_division(one, other) for one in readings for other in serious)


def _same_division(one: Reading, other: Reading) -> bool:
    pairs = {
        (place.class_name, other.places[name].class_name) for name, place in one.places.items() if name in other.places
    }
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def _skipped(folders: Folders) -> str:
    return f" (its outer folders {'/'.join(folders.wrapping)!r} are skipped)" if folders.wrapping else ""
