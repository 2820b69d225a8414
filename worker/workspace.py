"""Where a search keeps its files: one folder and one log per attempt; a stale process can only write to its own."""

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
        """The folder that this attempt writes to, created if missing."""
        folder = self._attempt_dir(fence)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def log_path(self, fence: int) -> Path:
        """The file that this attempt's output goes to."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return log_path(self._settings, self._search_id, fence)

    def log_tail(self, fence: int) -> str:
        """The end of an attempt's log; empty if it has none."""
        try:
            return read_tail(log_path(self._settings, self._search_id, fence), _TAIL_BYTES)
        except FileNotFoundError:
            return ""

    def relative(self, path: Path) -> str:
        """The path of a file of this search as stored in the database: relative, since the data folder may move."""
        return str(path.resolve().relative_to(self._root))

    def absolute(self, stored: str) -> Path:
        """The file that a path stored in the database stands for."""
        return self._root / stored

    def delete_unreferenced(self, before_fence: int, referenced: Iterable[str]) -> None:
        """Delete the files of earlier attempts, half-written ones included, except the run states that a row refers to.

        Later attempts are left alone: the caller may itself be stale without knowing it.
        """
        kept = {self.absolute(path) for path in referenced}
        for folder in (self._attempt_dir(fence) for fence in range(1, before_fence)):
            for file in folder.glob("*"):
                if file.is_dir():
                    shutil.rmtree(file, ignore_errors=True)
                elif file not in kept:
                    file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty, or missing
                folder.rmdir()

    def delete_attempt(self, fence: int) -> None:
        """Delete the folder of an attempt that has ended, and whose run states are elsewhere. Its log stays."""
        shutil.rmtree(self._attempt_dir(fence), ignore_errors=True)

    def delete_run_states(self) -> None:
        """Delete the attempt folders of a search that will not be resumed. Logs stay."""
        for folder in self._folder.glob("attempt-*/"):
            shutil.rmtree(folder, ignore_errors=True)

    def _attempt_dir(self, fence: int) -> Path:
        return self._folder / f"attempt-{fence:04d}"
