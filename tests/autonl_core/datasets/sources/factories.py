"""How to write, change and damage the files of each data source, for its conformance tests."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Factory:
    """Makes data sources of one kind.

    Args:
        write: put these files, by name, into a source at a path, which is created or replaced.
        damage: change bytes of one file inside a source without updating its mark; None where that is impossible.
    """

    write: Callable[[Path, Files], None]
    damage: Callable[[Path, str], None] | None = None


def _write_folder(path: Path, files: Files) -> None:
    for old in sorted(path.rglob("*"), reverse=True):
        old.rmdir() if old.is_dir() else old.unlink()
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def _write_zip(path: Path, files: Files) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(files.items()):
            method = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), data, method)


def _damage_zip(path: Path, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
    content = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len(name.encode()) + info.compress_size // 2
    content[start] ^= 0xFF
    path.write_bytes(content)


def _write_shards(path: Path, files: Files) -> None:
    path.mkdir(exist_ok=True)
    for number in (0, 1):
        with tarfile.open(path / f"images-{number:06}.tar", "w") as shard:
            for name, data in list(files.items())[number::2]:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                shard.addfile(info, io.BytesIO(data))


def _write_parquet(path: Path, files: Files) -> None:
    path.mkdir(exist_ok=True)
    for number in (0, 1):
        rows = [{"image": {"bytes": data, "path": name}} for name, data in list(files.items())[number::2]]
        schema = pyarrow.schema([("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]))])
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path / f"images-{number}.parquet")


FACTORIES: Mapping[str, Factory] = {
    "folder": Factory(_write_folder),
    "parquet": Factory(_write_parquet),
    "shards": Factory(_write_shards),
    "zip": Factory(_write_zip, _damage_zip),
}
