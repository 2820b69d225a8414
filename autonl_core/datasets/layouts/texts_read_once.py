"""A source whose small texts are read once: as many as there are images, each is tried as a table and as a label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autonl_core.datasets.data_source import FileSource, Location
from autonl_core.datasets.names import suffix_of

_MAX_BYTES = 512  # of a text that is kept
_MAX_KEPT_BYTES = 16 << 20  # of all of them; others are read again


class TextsReadOnce:
    """`files` as it is, with the content of small text files kept after the first time."""

    def __init__(self, files: FileSource) -> None:
        self._files = files
        self._kept: dict[str, bytes] = {}
        self._kept_bytes = 0

    @property
    def marks(self) -> Mapping[str, str]:
        """Those of the source."""
        return self._files.marks

    def read(self, name: str) -> bytes:
        """The content of a file, as the source has it."""
        content = self._kept.get(name)
        if content is None:
            content = self._files.read(name)
            self._keep(name, content)
        return content

    def locate(self, names: Iterable[str]) -> Iterable[Location]:
        """As the source does."""
        return self._files.locate(names)

    def _keep(self, name: str, content: bytes) -> None:
        is_small = suffix_of(name) == ".txt" and len(content) <= _MAX_BYTES
        if is_small and self._kept_bytes + len(content) <= _MAX_KEPT_BYTES:
            self._kept[name] = content
            self._kept_bytes += len(content)
