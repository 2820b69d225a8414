"""Datasets and the reports of their checks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from api.schemas.base import View, mirrors
from autonl_core.datasets.check_report import SHOWN_PAIRS, DatasetProblem, DatasetReport, SamePicture
from autonl_core.datasets.layouts.choose import require_layout
from autonl_core.datasets.layouts.grammar import AUTO, LAYOUT_PATTERN
from autonl_core.datasets.layouts.pattern import HELP as PATTERN_HELP
from autonl_core.datasets.layouts.pattern import MAX_LENGTH
from autonl_core.datasets.spec import DuplicatesRule, dataset_kinds
from autonl_core.errors import DatasetError
from autonl_core.spec.feasibility import MAX_RESOLUTION, MIN_RESOLUTION
from autonl_core.spec.name_field import Name
from store.datasets import DatasetEntry
from store.states import DatasetState


def _checked_layout(text: str) -> str:
    try:
        require_layout(text)
    except DatasetError as error:
        raise ValueError(str(error)) from error
    return text


_LENGTHS = StringConstraints(min_length=1, max_length=MAX_LENGTH)
_LAYOUT_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": LAYOUT_PATTERN}
Layout = Annotated[str, _LENGTHS, AfterValidator(_checked_layout), WithJsonSchema(_LAYOUT_SCHEMA)]
LAYOUT_HELP = (
    f"how folders name classes: `auto` recognises what is unambiguous; otherwise {PATTERN_HELP}; or the name of a file "
    "of labels and its column, such as labels.csv:breed"
)
DUPLICATES_HELP = "training images that show the same picture as a test image: leave them out of training, or keep them"


class ReadingBody(BaseModel):
    """The JSON body of `PUT /datasets/{name}/reading`: how the files are to be read."""

    model_config = ConfigDict(strict=True, extra="forbid")

    layout: Layout = Field(default=AUTO, description=LAYOUT_HELP)
    duplicates: DuplicatesRule = Field(default="leave-out", description=DUPLICATES_HELP)


class DatasetBody(BaseModel):
    """The JSON body of `POST /datasets`; an archive is sent as the body itself."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="absolute path of a folder or archive on the service's own disk; or a place in a bucket, s3://BUCKET/PREFIX"
    )
    layout: Layout = Field(default=AUTO, description=LAYOUT_HELP)
    duplicates: DuplicatesRule = Field(default="leave-out", description=DUPLICATES_HELP)


@mirrors(
    DatasetProblem,
    descriptions={
        "code": "stable identifier for programs",
        "detail": "what it means and how to fix it",
        "files": "the first affected files",
        "count": "number of affected files; 0: it concerns the dataset as a whole",
    },
)
class DatasetProblemView(View):
    """A finding of the dataset check. Only errors make a dataset unusable."""


@mirrors(
    SamePicture,
    descriptions={
        "file": "in the training split",
        "shows": "the image in the test split",
        "kind": "`exact`: the same bytes; `near`: pixels that match",
        "distance": "root mean square difference of the pixels, in levels of 255",
    },
)
class SamePictureView(View):
    """Two images that show the same picture."""


class ClassCounts(View):
    name: str
    train: int
    test: int


class ReadingClass(View):
    name: str
    images: int


class ReadingView(View):
    """One way to read an ambiguous dataset."""

    layout: str = Field(description="choose it by sending this as `layout`")
    detail: str
    classes: list[ReadingClass] = Field(description="the first 100")


@mirrors(
    DatasetReport,
    types={
        "problems": list[DatasetProblemView],
        "pairs": list[SamePictureView],
        "classes": list[ClassCounts],
        "sizes": dict[str, dict[str, float]],
        "readings": list[ReadingView],
    },
    descriptions={
        "files": "of any type",
        "sizes": "`min`, `median` and `max` of `width` and `height` in pixels",
        "duplicates": (
            "`groups`, `exact` and `near` copies, how many training images show the same picture as a test image "
            "(`across_splits`), and how many were therefore `left_out` of training"
        ),
        "pairs": f"the first {SHOWN_PAIRS} training images that show the same picture as a test image",
        "readings": "of a dataset that can be read in several ways: send the `layout` of one to choose it",
        "check_version": "of the check that found this; a later one may say something else of the same content",
        "sheets": "number of classes with a contact sheet: /datasets/NAME/sheets/0, 1, ...",
    },
)
class DatasetReportView(View):
    """The findings of the dataset check, most severe first. Counts are of images that are used."""


class DatasetView(View):
    """A dataset. Values that its check has not determined yet are null."""

    name: str
    state: DatasetState = Field(
        description="only a `ready` dataset can be searched on; the report of an `invalid` one says why"
    )
    kind: str = Field(json_schema_extra={"enum": list(dataset_kinds())})
    classes: list[str] | None
    image_size: int | None = Field(description="median of the longer side in pixels")
    default_resolution: int | None = Field(description="of a search that does not specify one")
    train_images: int | None
    test_images: int | None
    fingerprint: str | None
    horizontal_flip: bool | None = Field(
        description="whether a search that does not say otherwise mirrors its training images"
    )
    grey_range: tuple[float, float] | None = Field(
        description="of deep images: the values that become black and white; null if there are none"
    )
    sha256: str | None = Field(description="of an uploaded archive")
    size_bytes: int | None = Field(description="of an uploaded archive")
    layout: str = Field(description="how its files are read; `auto`: as they were recognised")
    duplicates: str = Field(description=DUPLICATES_HELP)
    progress: float | None = Field(description="of a running check, 0 to 1")
    report: DatasetReportView | None = Field(description="null in lists, and until the check has finished")
    created_at: datetime | None

    @classmethod
    def from_entry(cls, entry: DatasetEntry, *, with_report: bool = True) -> Self:
        spec = entry.spec
        values: dict[str, Any] = {
            "name": spec.name,
            "state": entry.state,
            "kind": spec.kind,
            "layout": spec.layout,
            "duplicates": spec.duplicates,
            "sha256": entry.sha256,
            "size_bytes": entry.size_bytes,
            "progress": entry.progress,
            "report": entry.report if with_report else None,
            "created_at": entry.created_at,
        }
        if entry.state == DatasetState.READY:
            values |= {
                "classes": list(spec.classes),
                "image_size": spec.image_size,
                "default_resolution": min(max(spec.image_size, MIN_RESOLUTION), MAX_RESOLUTION),
                "train_images": spec.train_images,
                "test_images": spec.test_images,
                "fingerprint": spec.fingerprint,
                "horizontal_flip": spec.horizontal_flip,
                "grey_range": spec.grey_range,
            }
        return cls.model_validate(dict.fromkeys(cls.model_fields) | values)


class DatasetList(View):
    datasets: list[DatasetView]
    next_page_token: str | None = Field(description="pass it as `page_token`; null: last page")
