"""Artifacts and run states in a bucket: hosts that share no disk, attempts that are over, and a server that is away."""

from __future__ import annotations

import hashlib
import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest

from autonl import Client
from store.states import ExitClass, SearchState
from tests.buckets import BUCKET, SECRET, BucketServer, bucket_server, bucket_url
from tests.reliability.conftest import Start
from tests.reliability.reference_search import REAL, SAVE_STEPS
from tests.reliability.service import Service, send_signal
from tests.reliability.test_exact_resume import assert_ended_as
from tests.servers import wait_for

__all__ = ["bucket_server", "bucket_url"]
AWAY_S = 60.0
pytestmark = pytest.mark.timeout(900)


def serve(start: Start, bucket_url: str, folder: Path) -> Service:
    """A service whose API has a disk of its own, as each worker has that is started on it."""
    (folder / "api").mkdir()
    service = start(data_dir=folder / "api", artifact_url=bucket_url, save_steps=SAVE_STEPS)
    service.start_api()
    service.start_sweeper()
    return service


def start_host(service: Service, host: Path) -> None:
    """A worker on a host of its own, with an empty disk."""
    host.mkdir()
    service.start_worker(host.name, None, AUTONL_DATA_DIR=str(host))


def lose_host(service: Service, name: str) -> None:
    """End all processes of a host at once."""
    family = service.family(name)
    service.kill(name)
    for process in family:
        send_signal(process)


def objects_of(server: BucketServer, url: str) -> dict[str, int]:
    """What is below a prefix: sizes in bytes."""
    prefix = url.removeprefix(f"s3://{BUCKET}/")
    listed = [each for some in server.client().list(prefix) for each in some]
    return {each["path"].removeprefix(f"{prefix}/"): each["size"] for each in listed}


def test_a_search_goes_on_on_another_host_with_an_empty_disk(
    start: Start, bucket_server: BucketServer, bucket_url: str, tmp_path: Path, expected_weights: str
) -> None:
    service = serve(start, bucket_url, tmp_path)
    start_host(service, tmp_path / "a")
    search_id = service.post(**REAL)
    service.wait_for_event(search_id, "run_state_saved", timeout_s=240, count=4)
    lose_host(service, "a")
    start_host(service, tmp_path / "b")
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=300)
    assert_ended_as(expected_weights, service, search_id)
    assert service.event_kinds(search_id).count("resumed") == 1
    assert "checkpoint_corrupt" not in service.event_kinds(search_id)
    wait_for(lambda: not any((tmp_path / "b").rglob("attempt-*/*")), "the disk of host b has no run states")
    left = objects_of(bucket_server, bucket_url)
    wait_for(lambda: not any(".pt" in key for key in objects_of(bucket_server, bucket_url)), "nor has the bucket")
    assert f"searches/{search_id}/attempt.json" in left
    assert not (tmp_path / "api/artifacts").exists()

    link = service.client.get(f"/searches/{search_id}").json()["links"]["checkpoint"]
    redirect = service.client.get(link)
    assert redirect.status_code == 307
    url = redirect.headers["Location"]
    head = service.client.head(link)
    whole = httpx.get(url)
    assert (whole.status_code, len(whole.content)) == (200, int(head.headers["Content-Length"]))
    assert head.headers["ETag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    part = httpx.get(url, headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    with Client(str(service.client.base_url)) as client:
        target, sha256 = tmp_path / "downloaded", hashlib.sha256(whole.content).hexdigest()
        (tmp_path / f".downloaded.{sha256[:16]}.part").write_bytes(whole.content[:99])
        client.download(search_id, "safetensors", target)
        assert target.read_bytes() == whole.content
    logs = [service.log(name) for name in ("api", "sweeper", "b")] + [p.read_text() for p in tmp_path.rglob("*.log")]
    assert not any(SECRET in log for log in logs)


def test_an_attempt_that_is_over_is_refused_by_the_bucket(
    start: Start, bucket_server: BucketServer, bucket_url: str, tmp_path: Path, expected_weights: str
) -> None:
    service = serve(start, bucket_url, tmp_path)
    start_host(service, tmp_path / "a")
    search_id = service.post(**REAL)
    service.wait_for_event(search_id, "run_state_saved", timeout_s=240, count=3)
    stale = service.search_process("a")
    frozen = [*service.family("a"), psutil.Process(service.processes["a"].pid)]
    for process in frozen:
        send_signal(process, signal.SIGSTOP)
    start_host(service, tmp_path / "b")
    service.wait_for_event(search_id, "claimed", timeout_s=120, count=2)
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=300)
    wait_for(lambda: not any(".pt" in key for key in objects_of(bucket_server, bucket_url)), "run states are deleted")
    before = objects_of(bucket_server, bucket_url)
    send_signal(stale, signal.SIGCONT)  # alone: the others would end it
    log = tmp_path / f"a/searches/{search_id}/attempt-0001.log"
    wait_for(lambda: "stopping: search" in log.read_text(), "the bucket or the database refuses it", timeout_s=120)
    assert objects_of(bucket_server, bucket_url) == before
    assert_ended_as(expected_weights, service, search_id)


def test_a_bucket_that_is_away_for_a_minute_costs_a_minute(
    start: Start, bucket_server: BucketServer, bucket_url: str, tmp_path: Path, expected_weights: str
) -> None:
    service = serve(start, bucket_url, tmp_path)
    start_host(service, tmp_path / "a")
    search_id = service.post(**REAL)
    service.wait_for_event(search_id, "run_state_saved", timeout_s=240, count=3)
    take_away(bucket_server)
    wait_for(lambda: service.stores.searches.get(search_id).phase == "exporting", "it exports", timeout_s=300)
    take_away(bucket_server)
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=300)
    attempts = service.stores.searches.attempts(search_id)
    assert [attempt.exit_class for attempt in attempts] == [ExitClass.SUCCEEDED]
    log = (tmp_path / f"a/searches/{search_id}/attempt-0001.log").read_text()
    assert log.count("does not respond") >= 2
    assert_ended_as(expected_weights, service, search_id)
    link = service.client.get(f"/searches/{search_id}").json()["links"]["checkpoint"]
    whole = service.client.get(link, follow_redirects=True).content
    assert hashlib.sha256(whole).hexdigest() == service.client.head(link).headers["ETag"].strip('"')


def take_away(server: BucketServer) -> None:
    server.stop()
    time.sleep(AWAY_S)
    server.start()
