"""Uploaded and built-in weight sets, and what their checks leave, on both databases."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest

from autonl_core.spec.builtin_weights import BUILTIN_WEIGHTS, BuiltinWeights
from autonl_core.spec.weight_set import IMAGENET, WeightProblem, WeightSet, WeightSetDetails
from store.checks import CheckLease
from store.errors import LeaseLost, NotFound, WeightSetExists, WeightSetInUse
from store.states import WeightSetState
from store.stores import Stores
from store.upload_folder import Upload
from store.weight_sets import AddedWeightSet, WeightSetEntry
from tests.autonl_core.spec.test_weight_set import uploaded
from tests.store.sample_rows import expire_check_leases

DETAILS = WeightSetDetails(network="autonl_s", licence="CC0-1.0", normalisation=IMAGENET)


def upload(
    stores: Stores, name: str, content: bytes = b"weights", details: WeightSetDetails = DETAILS
) -> AddedWeightSet:
    with stores.weight_sets.files.receive(len(content)) as receiving:
        receiving.write(content)
        return stores.weight_sets.add_upload(name, receiving, details)


def claim(stores: Stores) -> CheckLease:
    lease = stores.weight_checks.claim("checker")
    assert lease is not None
    return lease


def accept(stores: Stores) -> WeightSet:
    """Accept the oldest waiting weight set, as a checker does."""
    lease = claim(stores)
    entry = stores.weight_checks.entry(lease)
    weights = uploaded(name=entry.name, sha256=entry.sha256, size_bytes=entry.size_bytes)
    stores.weight_checks.accept(lease, weights)
    return weights


def refuse(stores: Stores) -> None:
    stores.weight_checks.refuse(claim(stores), [WeightProblem("does_not_fit", "1 tensor", ("missing a",))])


def files(stores: Stores) -> set[str]:
    return {path.name for path in stores.weight_sets.files.folder.glob("*")} - {".lock"}


def uploads(stores: Stores) -> list[str]:
    return [entry.name for entry in stores.weight_sets.list() if entry.origin == "uploaded"]


def test_the_built_in_ones_need_no_row_and_are_ready(stores: Stores) -> None:
    entry = stores.weight_sets.get("efficientnet-lite0")
    assert (entry.origin, entry.state, entry.created_at) == ("built-in", WeightSetState.READY, None)
    assert entry.weights == BUILTIN_WEIGHTS.get("efficientnet-lite0").weights
    assert entry in stores.weight_sets.list()


def test_one_whose_package_is_missing_is_not_offered_but_its_name_stays_reserved(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BuiltinWeights, "path", lambda member: None)
    assert stores.weight_sets.list() == ()
    with pytest.raises(NotFound, match="no weight set 'efficientnet-lite0'"):
        stores.weight_sets.get("efficientnet-lite0")
    with pytest.raises(WeightSetExists, match="is built in; choose another name"):
        upload(stores, "efficientnet-lite0")
    assert files(stores) == set()


def test_an_upload_is_checked_and_then_read_back(stores: Stores) -> None:
    added = upload(stores, "mine")
    assert (added.created, added.entry.state, added.entry.weights) == (True, WeightSetState.CHECKING, None)
    assert added.entry.details == DETAILS
    path = stores.weight_sets.files.file(added.entry.sha256)
    assert (path.read_bytes(), added.entry.size_bytes) == (b"weights", 7)
    weights = accept(stores)
    entry = stores.weight_sets.get("mine")
    assert (entry.state, entry.weights, entry.problems) == (WeightSetState.READY, weights, ())
    assert uploads(stores) == ["mine"]


def test_a_refused_one_says_why_and_its_name_can_be_used_again(stores: Stores) -> None:
    upload(stores, "mine")
    refuse(stores)
    entry = stores.weight_sets.get("mine")
    assert (entry.state, entry.weights) == (WeightSetState.REFUSED, None)
    assert entry.problems == (WeightProblem("does_not_fit", "1 tensor", ("missing a",)),)
    again = upload(stores, "mine", b"others")
    assert (again.created, again.entry.state, again.entry.problems) == (True, WeightSetState.CHECKING, ())
    assert files(stores) == {f"{again.entry.sha256}.weights"}  # what was refused is deleted
    accept(stores)
    assert stores.weight_sets.get("mine").sha256 == again.entry.sha256


@pytest.mark.parametrize("checked", [False, True])
def test_the_same_again_changes_nothing_and_anything_else_needs_another_name(stores: Stores, checked: bool) -> None:
    upload(stores, "mine")
    if checked:
        accept(stores)
    entry = stores.weight_sets.get("mine")
    assert upload(stores, "mine") == AddedWeightSet(entry, created=False)
    with pytest.raises(WeightSetExists, match=r"'mine' already has other content .*; choose another name, or delete"):
        upload(stores, "mine", b"others")
    with pytest.raises(WeightSetExists, match=r"'mine' already has this content .*other details were stated"):
        upload(stores, "mine", details=replace(DETAILS, licence="MIT"))
    assert stores.weight_sets.get("mine") == entry
    assert files(stores) == {f"{entry.sha256}.weights"}


def test_a_file_is_deleted_with_the_last_weight_set_that_uses_it(stores: Stores) -> None:
    (name,) = {f"{upload(stores, one).entry.sha256}.weights" for one in ("mine", "ours")}
    stores.weight_sets.delete("mine")
    assert files(stores) == {name}
    stores.weight_sets.delete("ours")
    assert files(stores) == set()
    with pytest.raises(NotFound, match=r"no weight set 'ours'; the existing ones are: .*efficientnet-lite0"):
        stores.weight_sets.delete("ours")
    with pytest.raises(WeightSetInUse, match="'efficientnet-lite0' is built in and cannot be deleted"):
        stores.weight_sets.delete("efficientnet-lite0")


def test_no_row_names_a_missing_file(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed in between may leave a file without a row, which is swept, but never the opposite."""

    def killed(self: Upload, target: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Upload, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        upload(stores, "mine")
    assert (uploads(stores), files(stores)) == ([], set())


def test_a_sweep_deletes_what_killed_processes_left_behind_and_nothing_else(stores: Stores) -> None:
    upload(stores, "mine")
    folder, kept = stores.weight_sets.files.folder, files(stores)
    (folder / "dead.part").write_bytes(b"half")
    (folder / f"{'0' * 64}.weights").write_bytes(b"its row was never written")
    (folder / "notes.txt").write_bytes(b"not one of our names")
    with (folder / "alive.part").open("xb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stores.weight_sets.sweep_files()
        assert files(stores) == kept | {"alive.part", "notes.txt"}


def test_uploads_of_one_name_at_the_same_time_create_it_once(stores: Stores) -> None:
    results: list[AddedWeightSet] = []
    barrier = Barrier(4)

    def add() -> None:
        barrier.wait()
        results.append(upload(stores, "mine"))

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.created for result in results) == [False, False, False, True]
    assert uploads(stores) == ["mine"]


def test_a_checker_that_falls_silent_can_no_longer_write(stores: Stores) -> None:
    upload(stores, "mine")
    old = claim(stores)
    expire_check_leases(stores)
    new = claim(stores)
    assert new.fence == old.fence + 1
    for late_write in (
        lambda: stores.weight_checks.entry(old),
        lambda: stores.weight_checks.beat(old, 0.5),
        lambda: stores.weight_checks.accept(old, uploaded()),
        lambda: stores.weight_checks.refuse(old, []),
        lambda: stores.weight_checks.crashed(old, "it fell over"),
        lambda: stores.weight_checks.give_back(old),
    ):
        with pytest.raises(LeaseLost, match="the check of weight set 'mine'"):
            late_write()
    stores.weight_checks.beat(new, 0.5)
    assert stores.weight_sets.get("mine").progress == 0.5


def test_a_check_of_a_deleted_set_cannot_write_to_a_new_one_of_its_name(stores: Stores) -> None:
    upload(stores, "mine")
    old = claim(stores)
    stores.weight_sets.delete("mine")
    upload(stores, "mine", b"others")
    claim(stores)
    with pytest.raises(LeaseLost):
        stores.weight_checks.accept(old, uploaded())


def test_weights_whose_check_keeps_crashing_are_refused_with_the_reason(stores: Stores) -> None:
    upload(stores, "mine")
    for _ in range(stores.settings.max_crash_streak):
        state = stores.weight_checks.crashed(claim(stores), "it fell over")
        expire_check_leases(stores)
    assert state == WeightSetState.REFUSED
    (problem,) = stores.weight_sets.get("mine").problems
    assert problem.code == "check_failed"
    assert "the last time because it fell over" in problem.detail
    assert "AUTONL_CHECK_MEMORY_BYTES" in problem.detail


def test_weights_that_kill_their_checkers_are_refused(stores: Stores) -> None:
    upload(stores, "mine")
    for _ in range(stores.settings.max_crash_streak):
        claim(stores)
        expire_check_leases(stores)
    assert stores.weight_checks.claim("checker") is None
    entry: WeightSetEntry = stores.weight_sets.get("mine")
    assert entry.state == WeightSetState.REFUSED
