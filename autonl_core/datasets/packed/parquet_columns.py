"""Which columns of a Parquet file have the images and their classes, as the library `datasets` of Hugging Face writes.

Images are a struct of `bytes` and `path`, or plain bytes. Classes are numbers, with their names in the metadata, or
text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autonl_core.datasets.packed.class_names import class_folders
from autonl_core.datasets.packed.labels import CLASS_FIELDS
from autonl_core.datasets.packed.places import PackedFile
from autonl_core.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow

_METADATA = b"huggingface"
_IMAGE_NAMES = ("image", "img", "jpg", "png", "webp", "picture", "photo")  # of columns with plain bytes
_EXPECTED = "expected a column `image` with `bytes` and `path`, as the library `datasets` writes it"


@dataclass(frozen=True)
class Columns:
    """Where the images are, and what says their classes."""

    image: str
    has_path: bool
    is_struct: bool
    label: str | None  # None: the folders in the paths say it
    class_names: Mapping[int, str]  # by number; empty: the metadata have none

    @property
    def bytes_leaf(self) -> str:
        return f"{self.image}.bytes" if self.is_struct else self.image

    def images_of(self, column: pyarrow.Array) -> list[bytes | None]:
        """The images of some rows; None where there is none."""
        values = column.flatten()[column.type.get_field_index("bytes")] if self.is_struct else column
        found: list[bytes | None] = values.to_pylist()
        return found

    @property
    def leaves(self) -> list[str]:
        """What has to be read for the index."""
        found = [self.bytes_leaf]
        if self.has_path:
            found.append(f"{self.image}.path")
        return found if self.label is None else [*found, self.label]


def find_columns(schema: pyarrow.Schema, file: PackedFile) -> Columns:
    """The columns of a file. Raises DatasetError if there are none, several that could be meant, or of other types."""
    features = _features(schema, file)
    image = _image_column(schema, file)
    kind = schema.field(image).type
    is_struct = _is_struct(kind)
    has_path = is_struct and kind.get_field_index("path") >= 0 and _is_text(kind.field("path").type)
    label = _label_column(schema, features, file)
    names: Mapping[int, str] = {}
    if label is not None:
        _require_label_type(schema, label, file)
        names = class_folders(dict(enumerate(_names_of(features.get(label)))), f"{file.name!r}, column {label!r}")
    return Columns(image, has_path, is_struct, label, names)


def _features(schema: pyarrow.Schema, file: PackedFile) -> Mapping[str, Any]:
    """What the library says of the columns, by name; empty if another program wrote the file."""
    text = (schema.metadata or {}).get(_METADATA)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{file.name!r}: the metadata `huggingface`, which has the names of the classes, cannot be read ({error}); "
            "write the file again"
        ) from error
    for key in ("info", "features"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _image_column(schema: pyarrow.Schema, file: PackedFile) -> str:
    found = [field.name for field in schema if _has_images(field)]
    if len(found) == 1 or "image" in found:
        return "image" if "image" in found else found[0]
    if found:
        raise DatasetError(
            f"{file.name!r} has several columns of images: {_listed(found)}; name the one to use `image`, "
            "or keep it alone"
        )
    raise DatasetError(f"{file.name!r} has no column of images, but {_listed(schema.names)}; {_EXPECTED}")


def _label_column(schema: pyarrow.Schema, features: Mapping[str, Any], file: PackedFile) -> str | None:
    names = set(schema.names)
    if "label" in names:
        return "label"
    found = [name for name in schema.names if _is_class_label(features.get(name))]
    found = found or [name for name in (*CLASS_FIELDS, "labels") if name in names]
    if len(found) > 1:
        raise DatasetError(
            f"{file.name!r} has several columns that may be the class: {_listed(found)}; name the one to use `label`, "
            "or keep it alone"
        )
    return found[0] if found else None


def _require_label_type(schema: pyarrow.Schema, label: str, file: PackedFile) -> None:
    import pyarrow.types as types

    kind = schema.field(label).type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if not types.is_integer(kind) and not _is_text(kind):
        raise DatasetError(
            f"{file.name!r}: the column {label!r} is of the type {str(kind)[:100]}; write one class for each image, "
            "as a number or as text"
        )


def _names_of(feature: object) -> list[str]:
    names = feature.get("names") if isinstance(feature, dict) and _is_class_label(feature) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def _is_class_label(feature: object) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel"


def _has_images(field: pyarrow.Field) -> bool:
    if _is_struct(field.type):
        return True
    return _is_binary(field.type) and field.name.lower() in _IMAGE_NAMES


def _is_struct(kind: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    return types.is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)


def _is_binary(kind: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    return types.is_binary(kind) or types.is_large_binary(kind)


def _is_text(kind: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    return types.is_string(kind) or types.is_large_string(kind)


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:100]) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "") if shown else "none at all"
