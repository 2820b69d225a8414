"""What a person changes of the labels of a dataset, whose files stay: images left out, or of another class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.items import Item, count_by_class, too_few_images
from autonl_core.datasets.manifest import Manifest, Row
from autonl_core.errors import DatasetError
from autonl_core.wording.counts import counted

CORRECTED = "corrected"  # code of the finding that says so
_SHOWN = 5  # names of each mistake


@dataclass(frozen=True)
class Correction:
    """Images to leave out, and the classes that others are of, by the names of their files in the dataset."""

    leave_out: frozenset[str]
    relabel: Mapping[str, str]


def correct(manifest: Manifest, correction: Correction) -> list[Row]:
    """The rows of a corrected dataset: every image keeps its split and its group.

    Raises:
        DatasetError: it changes nothing, names what the dataset does not have, or leaves a class with too few images;
            everything that is wrong is listed.
    """
    labels = {name: label for label, name in enumerate(manifest.classes)}
    images = {row[2] for row in manifest.rows}
    named = [*correction.leave_out, *correction.relabel]
    wrong = [
        *_listed("not used by this dataset", sorted({image for image in named if image not in images})),
        *_listed("both left out and given a class", sorted(correction.leave_out & correction.relabel.keys())),
        *_listed("no class of this dataset", sorted(set(correction.relabel.values()) - labels.keys())),
        *([] if named else ["it changes nothing: name images to leave out or to give another class"]),
    ]
    if wrong:
        raise DatasetError("; ".join(wrong))
    rows: list[Row] = [
        (split, labels[correction.relabel[image]] if image in correction.relabel else label, image, group)
        for split, label, image, group in manifest.rows
        if image not in correction.leave_out
    ]
    if short := too_few_images(manifest.classes, [Item(*row) for row in rows]):
        raise DatasetError(f"too few images would be left of {', '.join(short)}")
    return rows


def corrected_report(
    report: DatasetReport, name: str, classes: Sequence[str], rows: Sequence[Row], correction: Correction
) -> DatasetReport:
    """What is known of the corrected dataset: what the check of `name` found, its own counts, and what was changed."""
    counts = count_by_class(classes, [Item(*row) for row in rows])
    changed = replace(
        report,
        problems=[*report.problems],
        images=len(rows),
        classes=[count.to_json() for count in counts],
        sheets=0,
    )
    out, other = len(correction.leave_out), len(correction.relabel)
    changed.add(
        "info",
        CORRECTED,
        f"of the images of {name!r}, {counted(out, 'image')} left out and {other:,} given another class; the findings "
        "are those of its check",
        sorted({*correction.leave_out, *correction.relabel}),
    )
    return changed


def _listed(problem: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return [f"{problem}: {shown}" + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")]
