"""What a backup contains: the manifest, which is written last and without which there is no backup."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from store.errors import BackupError

MANIFEST = "manifest.json"
FORMAT = 1
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_PATH = re.compile(rf"(?:{_NAME}/)+{_NAME}")


@dataclass(frozen=True)
class BackedUpFile:
    """A file: its path in the backup, and what it contained."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """All that a backup contains.

    Args:
        version: of AutoNL.
        schema: revision of the database.
        database: `sqlite` or `postgresql`.
        data_dir: the data folder that it was taken from; some rows name it.
        missing: files that rows named although there were no such files.
    """

    version: str
    created_at: str
    schema: str
    database: str
    data_dir: str
    files: tuple[BackedUpFile, ...]
    missing: tuple[str, ...] = ()
    format: int = FORMAT

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """Raises BackupError if it is no manifest of this format, or a path in it could lead outside."""
        try:
            fields = json.loads(text)
            if fields["format"] != FORMAT:
                raise BackupError(f"the backup has format {fields['format']}, and this version reads {FORMAT}")
            files = tuple(BackedUpFile(**file) for file in fields.pop("files"))
            manifest = cls(**fields | {"files": files, "missing": tuple(fields["missing"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupError(f"the {MANIFEST} of the backup cannot be read: {error}") from error
        for file in manifest.files:
            if not _PATH.fullmatch(file.path):
                raise BackupError(f"the {MANIFEST} names {file.path!r}, which is no path of a backup")
        return manifest

    def text(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()
