"""Run states in a bucket, where the newest attempt at a search is the only one that can add any.

Beside the run states of a search is one small object, its *head*: the fence of the newest attempt, and the run states
that are kept. It is only ever replaced if it is still as it was read (`If-Match`), so that two attempts cannot both
believe to be the newest: an attempt that was taken over from gets LeaseLost, whatever the database says to it. The run
states themselves are in the folder of their attempt, and never replaced (`If-None-Match`).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from autonl_core.files import check_room, write_atomically
from autonl_core.spec.progress import KEPT_RUN_STATES
from store.bucket import Bucket, StoredObject
from store.errors import ArtifactDamaged, LeaseLost, NotFound
from store.leases import Lease
from store.run_state_files import KeptState

FOLDER = "searches"
_HEAD = "attempt.json"
_FENCE = re.compile(r"attempt-(\d+)/")


@dataclass(frozen=True)
class _Head:
    fence: int = 0
    states: tuple[KeptState, ...] = ()

    def with_state(self, state: KeptState) -> _Head:
        kept = [each for each in self.states if state.step - KEPT_RUN_STATES < each.step < state.step]
        return replace(self, states=(*kept, state))

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(content: bytes) -> _Head:
        values = json.loads(content)
        return _Head(int(values["fence"]), tuple(KeptState(**each) for each in values["states"]))


class BucketRunStates:
    """Run states as objects of a bucket; the local disk has copies.

    Args:
        reserve_bytes: what has to stay free on the disk that run states are copied to.
    """

    is_shared_folder = False

    def __init__(self, bucket: Bucket, reserve_bytes: int = 0) -> None:
        self._bucket = bucket
        self._reserve_bytes = reserve_bytes

    def take_over(self, lease: Lease) -> None:
        self._bucket.require_conditional_puts()
        self._change_head(lease, lambda head: replace(head, fence=lease.fence))

    def keep(self, lease: Lease, state: KeptState, file: Path, sha256: str) -> Sequence[str]:
        self._head(lease)  # before its file is sent: that takes long, and may be in vain
        self._bucket.put_new(_object(state.path), file, sha256, {"Content-Type": "application/octet-stream"})
        before = self._change_head(lease, lambda head: replace(head, fence=lease.fence).with_state(state))
        kept = {each.path for each in before.with_state(state).states}
        return [each.path for each in before.states if each.path not in kept]

    def fetch(self, path: str, folder: Path) -> Path:
        target = folder / f"resumed-{Path(path).name}"
        try:
            check_room(folder, self._bucket.size_of(_object(path)), self._reserve_bytes)
            write_atomically(target, lambda temporary: self._copy(path, temporary))
        except (NotFound, ArtifactDamaged):  # the reader reports that, and takes another one
            target.unlink(missing_ok=True)
        return target

    def delete(self, paths: Sequence[str]) -> None:
        self._bucket.delete([_object(path) for path in paths])

    def delete_unreferenced(self, search_id: str, before_fence: int, referenced: Collection[str]) -> None:
        kept = {_object(path) for path in referenced}
        of_search = [each.key for each in self._bucket.below(_object(search_id)) if each.key not in kept]
        self._bucket.delete(
            [key for key in of_search if (found := _FENCE.search(key)) and int(found[1]) < before_fence]
        )

    def delete_states(self, search_id: str) -> None:
        head = _object(f"{search_id}/{_HEAD}")  # it stays: by it a sweeper finds what a deleted search has left
        self._bucket.delete([each.key for each in self._bucket.below(_object(search_id)) if each.key != head])

    def delete_search(self, search_id: str) -> None:
        self._bucket.delete([each.key for each in self._bucket.below(_object(search_id))])

    def untouched(self, longer_than_s: float) -> Mapping[str, int]:
        of_searches: defaultdict[str, list[StoredObject]] = defaultdict(list)
        for each in self._bucket.below(FOLDER):
            of_searches[each.key.split("/")[1]].append(each)
        until = datetime.now(UTC) - timedelta(seconds=longer_than_s)
        return {
            search_id: sum(not each.key.endswith(f"/{_HEAD}") for each in objects)
            for search_id, objects in of_searches.items()
            if max(each.changed_at for each in objects) < until
        }

    def _copy(self, path: str, target: Path) -> None:
        with target.open("xb") as writer:
            self._bucket.copy_to(_object(path), writer)

    def _head(self, lease: Lease) -> tuple[_Head, str | None]:
        """The head, and its version. Raises LeaseLost if it is of a newer attempt."""
        try:
            content, version = self._bucket.read(_object(f"{lease.search_id}/{_HEAD}"))
        except NotFound:
            return _Head(), None
        head = _Head.from_bytes(content)
        if head.fence > lease.fence:
            raise LeaseLost(
                f"search {lease.search_id} is at attempt {head.fence} in the bucket; this is attempt {lease.fence}"
            )
        return head, version

    def _change_head(self, lease: Lease, change: Callable[[_Head], _Head]) -> _Head:
        """Replace the head, again if it was replaced meanwhile; returns it as it was before. Raises LeaseLost."""
        while True:
            head, version = self._head(lease)
            changed = change(head)
            if changed == head or self._bucket.put_if(
                _object(f"{lease.search_id}/{_HEAD}"), changed.to_bytes(), version
            ):
                return head


def _object(path: str) -> str:
    return f"{FOLDER}/{path}"
