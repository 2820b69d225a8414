"""The same images as a folder, a zip, tar shards, Parquet files, and these in a zip."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image

from autonl_core.dataset_check.check import check_dataset
from autonl_core.datasets.spec import DatasetSpec

Files = Mapping[str, bytes]
CLASSES = ("cat", "dog", "owl")
IMAGE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def png(seed: int, side: int = 8) -> bytes:
    """A picture of noise, another one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def images(per_class: int = 6, side: int = 8) -> dict[str, bytes]:
    """`train/cat/0003.png` and the like: three quarters of each class in `train`, the others in `test`."""
    found = {}
    for number in range(per_class * len(CLASSES)):
        split = "test" if number // len(CLASSES) % 4 == 3 else "train"
        found[f"{split}/{CLASSES[number % len(CLASSES)]}/{number:04}.png"] = png(number, side)
    return found


def write_folder(path: Path, files: Files) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_zip(path: Path, files: Files, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return path


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as shard:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            shard.addfile(info, io.BytesIO(data))
    return out.getvalue()


def classes_of(files: Files) -> tuple[str, ...]:
    return tuple(sorted({name.split("/")[1] for name in files}))


def shards_of(files: Files, per_shard: int = 5, *, numbered: bool = True) -> dict[str, bytes]:
    """Tar shards with labels, in an order that is not that of names: by number with `classes.txt`, or by name."""
    classes = classes_of(files)
    found: dict[str, bytes] = {"classes.txt": "\n".join(classes).encode()} if numbered else {}
    for split in ("train", "test"):
        samples = sorted(
            ((name, data) for name, data in files.items() if name.startswith(split)), key=lambda one: one[1]
        )
        for start in range(0, len(samples), per_shard):
            members: list[tuple[str, bytes]] = []
            for name, data in samples[start : start + per_shard]:
                _, class_name, last = name.split("/")
                label = str(classes.index(class_name)) if numbered else class_name
                members += [(last, data), (last.replace(".png", ".cls"), label.encode())]
            found[f"{split}-{start // per_shard:06}.tar"] = tar_of(members)
    return found


def write_shards(path: Path, files: Files, per_shard: int = 5, *, numbered: bool = True) -> Path:
    return write_folder(path, shards_of(files, per_shard, numbered=numbered))


def parquet_of(files: Files, per_file: int = 7, *, numbered: bool = True, **options: Any) -> dict[str, bytes]:
    """Parquet files as the library `datasets` writes them, in an order that is not that of names."""
    classes = classes_of(files)
    found: dict[str, bytes] = {}
    for split in ("train", "test"):
        samples = sorted(
            ((name, data) for name, data in files.items() if name.startswith(split)), key=lambda one: one[1]
        )
        starts = range(0, len(samples), per_file)
        for number, start in enumerate(starts):
            rows = [
                (data, name.split("/")[2], classes.index(label) if numbered else label)
                for name, data in samples[start : start + per_file]
                for label in [name.split("/")[1]]
            ]
            name = f"{split}-{number:05}-of-{len(starts):05}.parquet"
            found[name] = parquet_file(rows, classes if numbered else None, **options)
    return found


def parquet_file(
    rows: Iterable[tuple[bytes | None, str | None, int | str | None]],
    classes: Iterable[str] | None = CLASSES,
    *,
    rows_per_group: int = 3,
    **options: Any,
) -> bytes:
    """One file with the columns `image` and `label`; without `classes`, labels are text."""
    images, paths, labels = zip(*rows, strict=True) if rows else ((), (), ())
    kind = pyarrow.string() if classes is None else pyarrow.int64()
    names = {} if classes is None else {"label": {"names": list(classes), "_type": "ClassLabel"}}
    features = {"info": {"features": {"image": {"_type": "Image"}, **names}}}
    structs = [{"bytes": data, "path": path} for data, path in zip(images, paths, strict=True)]
    schema = pyarrow.schema([("image", IMAGE), ("label", kind)], metadata={"huggingface": json.dumps(features)})
    return written(pyarrow.table({"image": structs, "label": list(labels)}, schema=schema), rows_per_group, **options)


def written(table: pyarrow.Table, rows_per_group: int = 3, **options: Any) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, row_group_size=rows_per_group, **options)
    return out.getvalue()


def containers(root: Path, files: Files, per_shard: int = 5) -> dict[str, Path]:
    """The same images in every container, by what it is."""
    return {
        "folder": write_folder(root / "folder", files),
        "zip": write_zip(root / "images.zip", files),
        "shards": write_shards(root / "shards", files, per_shard),
        "shards-in-zip": write_zip(root / "shards.zip", shards_of(files, per_shard, numbered=False)),
        "parquet": write_folder(root / "parquet" / "data", parquet_of(files, per_shard)).parent,
        "parquet-in-zip": write_zip(root / "parquet.zip", parquet_of(files, per_shard, numbered=False)),
    }


def checked(path: Path, work_dir: Path) -> DatasetSpec:
    work_dir.mkdir()
    found = check_dataset("pets", path, work_dir)
    assert found.spec is not None, found.report
    return found.spec
