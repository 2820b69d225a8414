"""Where other hosts find the run states of a search: in a folder that all hosts share, or in a bucket.

A run state is written to the folder of its attempt on the local disk (`worker/workspace.py`). A row names it by its
path relative to `Settings.searches_dir`, which is also its name here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from store.leases import Lease


@dataclass(frozen=True)
class KeptState:
    """A run state: its path relative to the searches folder, and its number, which counts over all attempts."""

    path: str
    step: int


class RunStateFiles(Protocol):
    """Keeps the files of run states. In a bucket, every method raises BucketUnavailable if that does not respond."""

    is_shared_folder: bool  # what an attempt leaves on the local disk is what the next one goes on from

    def take_over(self, lease: Lease) -> None:
        """From now on, whatever earlier attempts keep is refused.

        Raises:
            LeaseLost: this one is not the newest.
            ArtifactError: the server of the bucket cannot refuse a put.
        """

    def keep(self, lease: Lease, state: KeptState, file: Path, sha256: str) -> Sequence[str]:
        """Make a run state available to other hosts, durably; may be repeated.

        Returns:
            The paths that are no longer needed once a row names this one; the caller has them deleted.

        Raises:
            LeaseLost: a newer attempt has taken over. Nothing of it was changed.
        """

    def fetch(self, path: str, folder: Path) -> Path:
        """The file, copied to `folder` if it is not on this host; there is no file if it is nowhere."""

    def delete(self, paths: Sequence[str]) -> None:
        """Delete run states that no row names."""

    def delete_unreferenced(self, search_id: str, before_fence: int, referenced: Collection[str]) -> None:
        """Delete the run states of earlier attempts, except those that a row refers to."""

    def delete_states(self, search_id: str) -> None:
        """Delete all run states of a search that will not be resumed."""

    def delete_search(self, search_id: str) -> None:
        """Delete all that there is of a search."""

    def untouched(self, longer_than_s: float) -> Mapping[str, int]:
        """Searches of which there is something, and nothing newer than that: by their ids, how many run states."""


class SharedFolder:
    """Run states in the searches folder itself, which all hosts share; `Workspace` deletes them."""

    is_shared_folder = True

    def __init__(self, searches_dir: Path) -> None:
        self._root = searches_dir

    def take_over(self, lease: Lease) -> None:
        """Rows are fenced, and an attempt writes to its own folder only."""

    def keep(self, lease: Lease, state: KeptState, file: Path, sha256: str) -> Sequence[str]:
        return ()

    def fetch(self, path: str, folder: Path) -> Path:
        return self._root / path

    def delete(self, paths: Sequence[str]) -> None:
        """Done by the search that wrote them."""

    def delete_unreferenced(self, search_id: str, before_fence: int, referenced: Collection[str]) -> None:
        """Done with the folders of the attempts."""

    def delete_states(self, search_id: str) -> None:
        """Done with the folders of the attempts."""

    def delete_search(self, search_id: str) -> None:
        """Done with the folder of the search."""

    def untouched(self, longer_than_s: float) -> Mapping[str, int]:
        return {}
