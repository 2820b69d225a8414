"""Where the files of a search lie: one folder per attempt, so that a zombie can soil only its own, and its log."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from store.logs import log_path, read_tail
from store.settings import Settings

_TAIL_BYTES = 16_384


class Workspace:
    """The files of one search, below `Settings.searches_dir`."""

    def __init__(self, settings: Settings, search_id: str) -> None:
        self._settings = settings
        self._search_id = search_id
        self._root = settings.searches_dir
        self._folder = settings.searches_dir / search_id

    def attempt_dir(self, fence: int) -> Path:
        """The folder that this attempt writes to; made if it is not there."""
        folder = self._attempt_dir(fence)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def log_path(self, fence: int) -> Path:
        """The file that holds everything this attempt printed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return log_path(self._settings, self._search_id, fence)

    def log_tail(self, fence: int) -> str:
        """The end of an attempt's log; empty if there is none."""
        try:
            return read_tail(log_path(self._settings, self._search_id, fence), _TAIL_BYTES)
        except FileNotFoundError:
            return ""

    def relative(self, path: Path) -> str:
        """How the database names a file of this search: the data folder may move."""
        return str(path.resolve().relative_to(self._root))

    def absolute(self, stored: str) -> Path:
        return self._root / stored

    def delete_unreferenced(self, before_fence: int, referenced: Iterable[str]) -> None:
        """Free the space of earlier attempts but for the run states that a row names; half-written files go as well.

        Only of earlier ones: whoever calls may be a zombie without knowing it, and must not touch what came after.
        """
        kept = {self.absolute(path) for path in referenced}
        for folder in (self._attempt_dir(fence) for fence in range(1, before_fence)):
            for file in folder.glob("*"):
                if file.is_dir():
                    shutil.rmtree(file, ignore_errors=True)
                elif file not in kept:
                    file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty, or not there
                folder.rmdir()

    def delete_run_states(self) -> None:
        """Free the space of a search that will not be resumed. Logs stay."""
        for folder in self._folder.glob("attempt-*/"):
            shutil.rmtree(folder, ignore_errors=True)

    def _attempt_dir(self, fence: int) -> Path:
        return self._folder / f"attempt-{fence:04d}"
