"""Interrupted downloads continue where they stopped and end with exactly the same bytes."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from autonl import retries
from cli.client import Client
from cli.errors import ApiError, CommandError
from cli.main import app
from store.stores import Stores
from tests.api.http_service import run_to_success, start
from tests.reliability.proxy import FaultProxy
from tests.servers import wait_for

CONTENT = random.Random(5).randbytes(6_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OVERHEAD_BYTES = 40_000  # response headers, and the other requests of the command


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)


@pytest.fixture
def search_id(service: httpx.Client, stores: Stores, tmp_path: Path) -> str:
    """A search that succeeded, with a checkpoint of a few megabytes."""
    started = start(service)
    run_to_success(stores, tmp_path, CONTENT)
    return started


@pytest.fixture
def proxy(service: httpx.Client) -> Iterator[FaultProxy]:
    """A proxy between the commands and the service."""
    between = FaultProxy(service.base_url.port or 0)
    yield between
    between.close()


def checkpoint_of(client: Client, search_id: str) -> str:
    link: str = client.search(search_id)["links"]["checkpoint"]
    return link


def bytes_between_cuts(count: int, seed: int) -> list[int]:
    """How many bytes pass before each of `count` interruptions, all of which fall within the file."""
    marks = sorted(random.Random(seed).sample(range(10_000, len(CONTENT) - 10_000), count))
    return [marks[0], *(after - before for before, after in itertools.pairwise(marks))]


def has_grown(file: Path, beyond_bytes: int) -> bool:
    return file.exists() and file.stat().st_size > beyond_bytes


@pytest.mark.parametrize("seed", range(3))
def test_connections_cut_at_five_random_points_transfer_no_byte_twice(
    search_id: str, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    remaining_cuts = bytes_between_cuts(5, seed)
    cuts = 0

    def on_progress(received: int, total: int) -> None:
        nonlocal cuts
        assert total == len(CONTENT)
        if remaining_cuts and not proxy.allowing:  # armed again as soon as bytes flow
            proxy.allow(remaining_cuts.pop(0))
            cuts += 1

    with Client(f"http://127.0.0.1:{proxy.port}") as client:
        link = checkpoint_of(client, search_id)
        assert client.download(link, tmp_path / "model", on_progress) == SHA256
    assert (tmp_path / "model").read_bytes() == CONTENT
    assert (cuts, proxy.allowing) == (5, False)
    assert proxy.reply_bytes < len(CONTENT) + OVERHEAD_BYTES  # no byte was sent twice
    assert not list(tmp_path.glob(".model*"))


@pytest.mark.long
def test_a_command_killed_at_five_random_points_requests_only_what_is_missing_when_run_again(
    search_id: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    target = tmp_path / "model"
    part = tmp_path / f".model.{SHA256[:16]}.part"
    command = [sys.executable, "-m", "cli.main", "download", search_id, "-o", str(target)]
    command += ["--url", f"http://127.0.0.1:{proxy.port}"]
    kept_bytes = 0
    for allowed in bytes_between_cuts(5, seed=9):
        proxy.allow(allowed, then="stall")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert proxy.reached.wait(60)
        # A killed process loses what is still in its socket buffer; the test is about what it has written.
        wait_for(partial(has_grown, part, kept_bytes), "bytes in the partial file")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        proxy.cut()
        assert not target.exists()
        assert part.stat().st_size > kept_bytes
        kept_bytes = part.stat().st_size
    proxy.allow_all()
    sent_before = proxy.reply_bytes
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, SHA256 in done.stdout) == (0, True), done.stderr
    assert hashlib.sha256(target.read_bytes()).hexdigest() == SHA256
    missing = len(CONTENT) - kept_bytes
    assert missing <= proxy.reply_bytes - sent_before < missing + OVERHEAD_BYTES  # nothing kept was sent again
    assert not list(tmp_path.glob(".model*"))


def test_a_partial_file_of_other_content_is_not_continued(
    search_id: str, service: httpx.Client, tmp_path: Path
) -> None:
    with Client(str(service.base_url)) as client:
        other = tmp_path / f".model.{'0' * 16}.part"
        other.write_bytes(b"part of another file")
        assert client.download(checkpoint_of(client, search_id), tmp_path / "model") == SHA256
        assert other.read_bytes() == b"part of another file"


@pytest.mark.parametrize("left", [b"a different beginning", CONTENT[:-1] + b"?", CONTENT + b"more"])
def test_a_corrupted_partial_file_is_detected(
    search_id: str, service: httpx.Client, tmp_path: Path, left: bytes
) -> None:
    part = tmp_path / f".model.{SHA256[:16]}.part"
    part.write_bytes(left)
    with Client(str(service.base_url)) as client:
        link = checkpoint_of(client, search_id)
        if len(left) <= len(CONTENT):
            with pytest.raises(ApiError, match="corrupted"):
                client.download(link, tmp_path / "model")
            assert not part.exists()
        assert client.download(link, tmp_path / "model") == SHA256


@pytest.mark.long
def test_two_commands_do_not_write_the_same_file(search_id: str, service: httpx.Client, tmp_path: Path) -> None:
    part = tmp_path / f".model.{SHA256[:16]}.part"
    with Client(str(service.base_url)) as client, part.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="Another command"):
            client.download(checkpoint_of(client, search_id), tmp_path / "model")


def test_when_the_service_disappears_the_partial_file_stays_and_the_error_says_so(
    search_id: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    with Client(f"http://127.0.0.1:{proxy.port}") as client:
        link = checkpoint_of(client, search_id)
        proxy.allow(3_000_000, then="break all")
        with pytest.raises(ApiError, match="run the same command again to continue"):
            client.download(link, tmp_path / "model")
        (part,) = tmp_path.glob(".model*")
        assert 2_000_000 < part.stat().st_size < 3_000_000
        proxy.allow_all()
        assert client.download(link, tmp_path / "model") == SHA256
    assert (tmp_path / "model").stat().st_size == len(CONTENT)


def test_a_missing_download_is_refused_with_the_reason(service: httpx.Client, tmp_path: Path) -> None:
    waiting = start(service)
    early = CliRunner().invoke(app, ["download", waiting, "-o", str(tmp_path / "early")])
    assert (early.exit_code, "has no checkpoint" in early.stderr) == (2, True)
    with Client(str(service.base_url)) as client, pytest.raises(ApiError, match="no architecture"):
        client.download("/architectures/ffffffffffff/checkpoint", tmp_path / "none")
    assert not list(tmp_path.glob("*none*"))
