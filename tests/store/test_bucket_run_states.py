"""Run states in a bucket: another host finds them, and an attempt that is over can neither add nor replace any."""

from __future__ import annotations

import json
from pathlib import Path

import obstore
import pytest

from autonl_core.files import sha256_of
from store.bucket_run_states import BucketRunStates
from store.errors import LeaseLost
from store.file_places import open_file_places
from store.leases import Lease
from store.run_state_files import KeptState, RunStateFiles
from store.settings import Settings
from tests.buckets import BUCKET, BucketServer, bucket_server, bucket_url

__all__ = ["bucket_server", "bucket_url"]
SEARCH = "a1b2"
FIRST, SECOND = Lease(SEARCH, 1), Lease(SEARCH, 2)


@pytest.fixture(params=["folder", "bucket"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> RunStateFiles:
    """What holds for run states wherever they are."""
    url: str = "" if request.param == "folder" else request.getfixturevalue("bucket_url")
    return open_file_places(Settings(data_dir=tmp_path, artifact_url=url, disk_reserve_bytes=0)).run_states


@pytest.fixture
def run_states(tmp_path: Path, bucket_url: str) -> RunStateFiles:
    return open_file_places(Settings(data_dir=tmp_path, artifact_url=bucket_url, disk_reserve_bytes=0)).run_states


def keep(run_states: RunStateFiles, lease: Lease, step: int, folder: Path, content: bytes = b"") -> tuple[str, ...]:
    """Write a run state as an attempt does, and keep it; the paths that are not needed any more."""
    path = f"{SEARCH}/attempt-{lease.fence:04d}/state-{step:06d}.pt"
    file = folder / "searches" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content or f"step {step} of attempt {lease.fence}".encode())
    return tuple(run_states.keep(lease, KeptState(path, step), file, sha256_of(file)))


def path_of(fence: int, step: int) -> str:
    return f"{SEARCH}/attempt-{fence:04d}/state-{step:06d}.pt"


def test_the_next_attempt_finds_what_the_last_one_kept(either: RunStateFiles, tmp_path: Path) -> None:
    either.take_over(FIRST)
    keep(either, FIRST, 1, tmp_path)
    either.take_over(SECOND)
    elsewhere = tmp_path / "attempt"
    elsewhere.mkdir()
    assert either.fetch(path_of(1, 1), elsewhere).read_bytes() == b"step 1 of attempt 1"
    assert not either.fetch(path_of(1, 7), elsewhere).exists()


def test_what_may_be_repeated_has_no_effect_the_second_time(either: RunStateFiles, tmp_path: Path) -> None:
    for _ in range(2):
        either.take_over(FIRST)
        assert keep(either, FIRST, 1, tmp_path) == ()
        either.delete_unreferenced(SEARCH, 1, [])
        either.delete([])
    assert either.fetch(path_of(1, 1), tmp_path).is_file()


def test_an_attempt_that_was_taken_over_from_is_refused(run_states: RunStateFiles, tmp_path: Path) -> None:
    run_states.take_over(FIRST)
    keep(run_states, FIRST, 1, tmp_path)
    run_states.take_over(SECOND)
    with pytest.raises(LeaseLost, match="at attempt 2 in the bucket; this is attempt 1"):
        keep(run_states, FIRST, 2, tmp_path)
    with pytest.raises(LeaseLost):
        run_states.take_over(FIRST)
    assert not run_states.fetch(path_of(1, 2), tmp_path).exists()
    keep(run_states, SECOND, 2, tmp_path)
    assert run_states.fetch(path_of(2, 2), tmp_path).read_bytes() == b"step 2 of attempt 2"


def test_an_attempt_that_is_overtaken_while_it_sends_a_run_state_is_refused(
    run_states: RunStateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(run_states, BucketRunStates)
    run_states.take_over(FIRST)
    bucket = run_states._bucket
    put_new = bucket.put_new

    def slow_put(key: str, file: Path, sha256: str, headers: dict[str, str]) -> None:
        put_new(key, file, sha256, headers)
        run_states.take_over(SECOND)

    monkeypatch.setattr(bucket, "put_new", slow_put)
    with pytest.raises(LeaseLost):
        keep(run_states, FIRST, 1, tmp_path)


def test_only_as_many_are_kept_as_a_resume_may_need(run_states: RunStateFiles, tmp_path: Path) -> None:
    run_states.take_over(FIRST)
    assert [keep(run_states, FIRST, step, tmp_path) for step in (1, 2, 3)] == [(), (), (path_of(1, 1),)]
    run_states.take_over(SECOND)
    assert keep(run_states, SECOND, 4, tmp_path) == (path_of(1, 2),)
    run_states.delete([path_of(1, 1), path_of(1, 2)])
    assert not run_states.fetch(path_of(1, 2), tmp_path).exists()
    run_states.delete_unreferenced(SEARCH, 2, [path_of(1, 3)])
    assert run_states.fetch(path_of(1, 3), tmp_path).exists()
    run_states.delete_unreferenced(SEARCH, 2, [])
    assert not run_states.fetch(path_of(1, 3), tmp_path).exists()
    assert run_states.fetch(path_of(2, 4), tmp_path).exists()


def test_a_damaged_run_state_is_as_good_as_none(
    run_states: RunStateFiles, bucket_server: BucketServer, bucket_url: str, tmp_path: Path
) -> None:
    run_states.take_over(FIRST)
    keep(run_states, FIRST, 1, tmp_path)
    prefix, client = bucket_url.removeprefix(f"s3://{BUCKET}/"), bucket_server.client()
    key = f"{prefix}/searches/{path_of(1, 1)}"
    attributes = obstore.get(client, key).attributes
    obstore.put(client, key, b"other bytes", attributes=attributes)
    assert not run_states.fetch(path_of(1, 1), tmp_path).exists()


def test_a_deleted_search_leaves_nothing_and_a_finished_one_the_trace_of_its_last_attempt(
    run_states: RunStateFiles, tmp_path: Path
) -> None:
    run_states.take_over(FIRST)
    keep(run_states, FIRST, 1, tmp_path)
    assert run_states.untouched(-60) == {SEARCH: 1}
    assert run_states.untouched(3600) == {}
    run_states.delete_states(SEARCH)
    assert run_states.untouched(-60) == {SEARCH: 0}
    with pytest.raises(LeaseLost):
        run_states.take_over(Lease(SEARCH, 0))
    run_states.delete_search(SEARCH)
    assert run_states.untouched(-60) == {}


def test_the_head_of_a_search_can_be_read_by_people(
    run_states: RunStateFiles, bucket_server: BucketServer, bucket_url: str, tmp_path: Path
) -> None:
    run_states.take_over(SECOND)
    keep(run_states, SECOND, 1, tmp_path)
    prefix = bucket_url.removeprefix(f"s3://{BUCKET}/")
    content = obstore.get(bucket_server.client(), f"{prefix}/searches/{SEARCH}/attempt.json").bytes()
    assert json.loads(bytes(content)) == {"fence": 2, "states": [{"path": path_of(2, 1), "step": 1}]}
