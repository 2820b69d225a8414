"""The folder of prepared datasets: one builder at a time, no entry evicted that is in use, no more than the limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from autonl_core.data.cache import Cache, Entry, Lock


def build(cache: Cache, name: str, size: int = 1000) -> Entry:
    with cache.building(name, on_wait=lambda: None) as folder:
        (folder / "content").write_bytes(b"x" * size)
        return cache.publish(folder, name)


def names(cache: Cache) -> set[str]:
    return {path.name for path in cache.root.iterdir() if path.is_dir()}


def test_an_entry_is_there_after_it_was_built_and_not_before(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new")
    assert cache.open("a") is None
    assert build(cache, "a").folder == tmp_path / "new" / "a"
    found = cache.open("a")
    assert found is not None
    assert (found.folder / "content").read_bytes() == b"x" * 1000
    assert cache.size_bytes() == 1000


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    try:
        with cache.building("a", on_wait=lambda: None) as folder:
            (folder / "content").write_bytes(b"half")
            raise ValueError
    except ValueError:
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_second_builder_waits_for_the_first(tmp_path: Path) -> None:
    cache, order, waited = Cache(tmp_path), [], threading.Event()

    def second() -> None:
        with Cache(tmp_path).building("a", on_wait=waited.set):
            order.append("second")

    with cache.building("a", on_wait=lambda: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_the_least_recently_used_is_evicted_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=3500)
    held = build(cache, "held")
    for name in ("old", "young"):
        build(cache, name)
    os.utime(tmp_path / "held.lock", (1, 1))
    os.utime(tmp_path / "old.lock", (2, 2))
    with cache.room_for(400) as fits:
        assert fits
        assert names(cache) == {"held", "old", "young"}  # there was room
    with cache.room_for(1000) as fits:
        assert fits
    assert names(cache) == {"held", "young"}
    with cache.room_for(3000) as fits:
        assert not fits
    assert names(cache) == {"held"}  # it evicted what it could
    assert held.folder.is_dir()
    del held
    with cache.room_for(3000) as fits:
        assert fits
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_deleted_for_what_can_never_fit(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=3500)
    build(cache, "a")
    with cache.room_for(4000) as fits:
        assert not fits
    with Cache(tmp_path).room_for(1 << 60) as fits:  # more than any disk
        assert not fits
    assert names(cache) == {"a"}


def test_opening_counts_as_use(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=2500)
    for name in ("a", "b"):
        build(cache, name)
    os.utime(tmp_path / "a.lock", (1, 1))
    os.utime(tmp_path / "b.lock", (2, 2))
    cache.open("a")
    with cache.room_for(1000):
        assert names(cache) == {"a"}


def test_a_killed_builder_blocks_no_other_and_its_leftovers_are_deleted(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from autonl_core.data.cache import Cache\n"
        "with Cache(Path(sys.argv[1])).building('a', on_wait=lambda: None) as folder:\n"
        "    (folder / 'content').write_bytes(b'x' * 1000); print('ready', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        cache = Cache(tmp_path, limit_bytes=1500)
        with cache.room_for(1000) as fits:
            assert not fits  # the space of a running builder is taken
        process.send_signal(signal.SIGKILL)
        process.wait()
    with cache.room_for(1000) as fits:
        assert fits
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_was_deleted_is_not_held(tmp_path: Path) -> None:
    first = Lock.take(tmp_path / "lock")
    assert first is not None
    assert Lock.take(tmp_path / "lock") is None
    first.delete()
    again = Lock.take(tmp_path / "lock")
    assert again is not None
    assert Lock.take(tmp_path / "lock", shared=True) is None
    again.release()
    both = [Lock.take(tmp_path / "lock", shared=True) for _ in range(2)]
    assert None not in both


def test_waiting_for_an_entry_that_is_being_evicted_ends_without_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    build(cache, "a")
    evictor = Lock.take(tmp_path / "a.lock")
    assert evictor is not None
    found: list[Entry | None] = []
    thread = threading.Thread(target=lambda: found.append(cache.open("a")))
    thread.start()
    time.sleep(0.05)
    (tmp_path / "a" / "content").unlink()
    (tmp_path / "a").rmdir()
    evictor.delete()
    thread.join(10)
    assert found == [None]


def test_opening_an_entry_too_late_takes_no_lock_from_its_next_builder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evicted between the first check and the lock, and locked by its next builder before the second check."""
    cache = Cache(tmp_path)
    answers = iter([True, False])
    monkeypatch.setattr(Path, "is_dir", lambda path: next(answers))
    builder = Lock.take(tmp_path / "a.lock", shared=True)
    assert builder is not None
    assert cache.open("a") is None
    assert Lock.take(tmp_path / "a.lock") is None  # no process may evict what the builder is about to publish
    builder.release()
