"""What a dataset is: its name, kind, classes, image counts and fingerprint.

A dataset is a data source (`sources/`) of class folders (`layout.py` says which layouts are supported). `digits`,
scikit-learn's 1,797 handwritten digits, is built in. A dataset that passed its check has a manifest, which lists its
images (`manifest.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from autonl_core.datasets.sources import SOURCES
from autonl_core.errors import DatasetError, OtherVersion

BUILTIN_KIND = "builtin"
DuplicatesRule = Literal["leave-out", "keep"]

GreyRange = tuple[float, float]  # the values of black and white in images with one channel of more than 8 bits


def as_grey_range(values: Sequence[float] | None) -> GreyRange | None:
    """The range that JSON has as a list, or as null."""
    if values is None:
        return None
    low, high = values
    return float(low), float(high)


def dataset_kinds() -> tuple[str, ...]:
    """All values of `DatasetSpec.kind`."""
    return (BUILTIN_KIND, *SOURCES.names())


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset, as searches and the database store it; converts to JSON and back.

    `location` is a path, the name of a built-in dataset, or a place in a bucket (`buckets/location.py`), in place of
    which the path of its local copy is used where files are opened. Raises DatasetError if `kind` is unknown.
    """

    name: str
    kind: str  # one of `dataset_kinds()`
    location: str
    classes: tuple[str, ...]
    image_size: int  # the usual longer side in pixels
    train_images: int
    test_images: int
    fingerprint: str  # hash of the names and marks of all images, or of the manifest; changes with the content
    horizontal_flip: bool = True  # whether a mirrored image still shows its class
    manifest: str = ""  # path of the manifest; empty if the dataset was not checked
    layout: str = "auto"  # how its folders or label files are read, if the user chose it
    duplicates: DuplicatesRule = "leave-out"  # training images that show the same picture as a test image; or "keep"
    # What `read_image` maps deep images with, the same for all. None: there are none, or the dataset was checked before
    # ranges were found; its images then keep the white level of their own brightest pixel, as they always had.
    grey_range: GreyRange | None = None
    # Changes when the files do, of a checked dataset in a source that does not mark them by content. Empty: its
    # manifest has what changes.
    stored: str = ""
    # Changes with any object of a checked dataset in a bucket, as `Listing.mark`. Empty: it is elsewhere.
    objects: str = ""

    def __post_init__(self) -> None:
        if self.kind not in dataset_kinds():
            raise DatasetError(
                f"dataset {self.name!r} has the unknown kind {self.kind!r}; known are {', '.join(dataset_kinds())}"
            )

    @property
    def is_builtin(self) -> bool:
        return self.kind == BUILTIN_KIND

    def to_json(self) -> dict[str, Any]:
        data = asdict(self) | {"classes": list(self.classes)}
        for name in ("stored", "objects"):  # unknown to earlier versions, which may read what needs them not
            if not data[name]:
                del data[name]
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> DatasetSpec:
        """The inverse of `to_json`. Raises OtherVersion if it has fields that this version does not know."""
        if unknown := data.keys() - {each.name for each in fields(DatasetSpec)}:
            names = ", ".join(sorted(unknown))
            raise OtherVersion(f"another version stored a dataset with fields that this one does not know: {names}")
        grey_range = as_grey_range(data.get("grey_range"))
        return DatasetSpec(**{**data, "classes": tuple(data["classes"]), "grey_range": grey_range})


DIGITS = DatasetSpec(
    name="digits",
    kind=BUILTIN_KIND,
    location="digits",
    classes=tuple("0123456789"),
    image_size=8,
    train_images=1438,
    test_images=359,
    fingerprint="scikit-learn-digits-1797",
    horizontal_flip=False,
)
BUILTIN: dict[str, DatasetSpec] = {DIGITS.name: DIGITS}
