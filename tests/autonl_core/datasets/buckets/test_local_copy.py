"""The copy of a dataset in a bucket: the same dataset as on a disk, brought up to date with as little as possible."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autonl_core.datasets.buckets import fetching
from autonl_core.datasets.buckets.local_copy import LocalCopy, bring_here, delete_unused
from autonl_core.datasets.buckets.location import BucketLocation
from autonl_core.datasets.buckets.objects import BucketObjects
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.scan import has_changed, list_items
from autonl_core.errors import DatasetError, DatasetUnavailable, DiskReserved, Interrupted
from tests.autonl_core.datasets.buckets.objects import delete, put, put_folder
from tests.autonl_core.datasets.packed.samples import checked, containers, images, png
from tests.buckets import BUCKET, BucketServer, bucket_server, bucket_url
from tests.reliability.proxy import FaultProxy

__all__ = ["bucket_server", "bucket_url"]
PETS = {"cat/1.png": b"one", "cat/2.png": b"two", "dog/ä 1.png": b"three", "classes.txt": b"cat\ndog"}


@pytest.fixture
def place(bucket_url: str) -> BucketLocation:
    return BucketLocation.parse(f"{bucket_url}/pets")


@pytest.fixture
def proxy(bucket_server: BucketServer, place: BucketLocation, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What this process reaches the server through."""
    opened = FaultProxy(bucket_server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{opened.port}")
    yield opened
    opened.close()


def content_of(copy: LocalCopy) -> Mapping[str, bytes]:
    return {
        path.relative_to(copy.path).as_posix(): path.read_bytes() for path in copy.path.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    "name",
    [
        "folder",
        "shards",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("zip", "shards-in-zip", "parquet", "parquet-in-zip")),
    ],
)
def test_a_dataset_in_a_bucket_is_the_dataset_on_the_disk(
    bucket_server: BucketServer, bucket_url: str, tmp_path: Path, name: str
) -> None:
    path = containers(tmp_path, images())[name]
    here = checked(path, tmp_path / "work")
    copies = [bring_here(put_folder(bucket_server, path), tmp_path / host) for host in ("a", "b")]
    found = [checked(copy.path, tmp_path / f"work-{number}") for number, copy in enumerate(copies)]
    assert [spec.kind for spec in found] == [here.kind] * 2
    assert [spec.fingerprint for spec in found] == [here.fingerprint] * 2
    assert [list_items(spec) for spec in found] == [list_items(here)] * 2
    assert copies[0].path.name == path.name
    assert found[0].stored == found[1].stored  # so that what one host checked is unchanged on another one


def test_what_is_there_is_not_fetched_again(
    proxy: FaultProxy, bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    large = {f"cat/{number}.png": bytes([number]) * 100_000 for number in range(5)}
    put(bucket_server, place, large)
    first = bring_here(place, tmp_path)
    assert content_of(first) == large
    before = proxy.reply_bytes
    assert bring_here(place, tmp_path, expected_mark=first.mark) == first
    assert proxy.reply_bytes - before < 10_000  # the listing

    put(bucket_server, place, {"cat/3.png": b"another one"})
    delete(bucket_server, place, "cat/4.png")
    before = proxy.reply_bytes
    second = bring_here(place, tmp_path)
    assert proxy.reply_bytes - before < 10_000
    expected = {name: data for name, data in large.items() if name != "cat/4.png"} | {"cat/3.png": b"another one"}
    assert content_of(second) == expected
    assert second.mark != first.mark


def test_the_same_content_put_again_is_no_change_and_content_of_the_same_size_is_one(
    bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    """Within one second, which is all that times of objects say."""
    files = images()
    put(bucket_server, place, files)
    copy = bring_here(place, tmp_path / "copies")
    spec = checked(copy.path, tmp_path / "work")
    put(bucket_server, place, files)
    assert bring_here(place, tmp_path / "copies", expected_mark=copy.mark) == copy
    assert not has_changed(spec)
    name = next(name for name in files if name.startswith("train"))
    put(bucket_server, place, {name: files[name][::-1]})
    with pytest.raises(DatasetError, match=f"{place} changed since it was added: add it again"):
        bring_here(place, tmp_path / "copies", expected_mark=copy.mark)
    assert not has_changed(spec)  # nothing was fetched
    bring_here(place, tmp_path / "copies")
    assert has_changed(spec)


def test_a_process_that_is_killed_halfway_leaves_what_the_next_one_goes_on_from(
    proxy: FaultProxy, bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    files = {f"{number:02}.tar": os.urandom(200_000) for number in range(30)}
    files["large.tar"] = os.urandom(3 * fetching.PIECE_BYTES)
    put(bucket_server, place, files)
    whole = sum(map(len, files.values()))
    proxy.allow(whole // 2, then="stall")
    code = (
        "import sys; from pathlib import Path; from autonl_core.datasets.buckets.local_copy import bring_here; "
        "from autonl_core.datasets.buckets.location import BucketLocation; "
        "bring_here(BucketLocation.parse(sys.argv[1]), Path(sys.argv[2]))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(place), str(tmp_path)]) as killed:
        assert proxy.reached.wait(60)
        time.sleep(0.3)
        killed.kill()
    proxy.allow_all()
    proxy.cut()
    there = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert 0 < there < whole
    before = proxy.reply_bytes
    copy = bring_here(place, tmp_path)
    assert content_of(copy) == files
    assert proxy.reply_bytes - before < whole - there + 100_000
    assert list(tmp_path.glob("*/parts/*")) == []


def test_an_object_that_is_replaced_or_deleted_after_it_was_listed_is_named(
    bucket_server: BucketServer, place: BucketLocation
) -> None:
    put(bucket_server, place, {"large.tar": b"x" * 5000})
    bucket = BucketObjects(place)
    listed = bucket.list(Limits())
    put(bucket_server, place, {"large.tar": b"y" * 5000})
    with pytest.raises(DatasetError, match=f"'large.tar' at {place} was replaced or deleted while it was fetched"):
        bucket.read(listed.objects[0], 0, 1000)
    without_etag = listed.objects[0]._replace(version="2026-01-01", has_etag=False)  # as some servers list it
    assert bucket.read(without_etag, 0, 1000) == b"y" * 1000
    put(bucket_server, place, {"large.tar": b"longer" * 5000})
    with pytest.raises(DatasetError, match="was replaced or deleted while it was fetched"):
        bucket.read(without_etag, 0, 1000)
    delete(bucket_server, place, "large.tar")
    with pytest.raises(DatasetError, match="was replaced or deleted while it was fetched"):
        bucket.read(listed.objects[0], 0, 1000)


def test_a_part_of_an_object_that_was_replaced_is_not_gone_on_with(
    bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    put(bucket_server, place, {"large.tar": b"x" * 9000})
    (listed,) = BucketObjects(place).list(Limits()).objects
    copy = bring_here(place, tmp_path)
    part = copy.path.parents[1] / "parts" / fetching.part_name(listed)
    (copy.path / "large.tar").unlink()
    part.write_bytes(b"z" * 1000)  # recognised by that in the file
    assert content_of(bring_here(place, tmp_path)) == {"large.tar": b"z" * 1000 + b"x" * 8000}
    (copy.path / "large.tar").unlink()
    part.write_bytes(b"z" * 1000)
    put(bucket_server, place, {"large.tar": b"y" * 9000})
    assert content_of(bring_here(place, tmp_path)) == {"large.tar": b"y" * 9000}
    assert not part.exists()


def test_it_ends_early_when_asked_and_goes_on_later(
    bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    files = {f"{number:03}.tar": os.urandom(2000) for number in range(300)}
    put(bucket_server, place, files)

    def stop(share: float) -> None:
        if share:
            raise Interrupted("drain")

    with pytest.raises(Interrupted):
        bring_here(place, tmp_path, on_progress=stop)
    assert 0 < len(list(tmp_path.glob("*/at/pets/*"))) < 300
    shares: list[float] = []
    assert content_of(bring_here(place, tmp_path, on_progress=shares.append)) == files
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_of_two_that_want_a_copy_at_the_same_time_one_fetches_it(
    proxy: FaultProxy, bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    files = {f"{number:02}.tar": os.urandom(200_000) for number in range(30)}
    put(bucket_server, place, files)
    before = proxy.reply_bytes
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: bring_here(place, tmp_path), range(2))
    assert first == second
    assert content_of(first) == files
    assert proxy.reply_bytes - before < 1.2 * 30 * 200_000


def test_a_server_that_is_away_is_worth_another_try(
    proxy: FaultProxy, bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    files = {f"{number:02}.tar": os.urandom(100_000) for number in range(20)}
    put(bucket_server, place, files)
    proxy.allow(1_000_000, then="break all")
    with pytest.raises(DatasetUnavailable, match=f"the bucket '{BUCKET}' does not respond"):
        bring_here(place, tmp_path, request_s=1)  # a reply that is cut short leaves a silent connection
    proxy.allow_all()
    before = proxy.reply_bytes
    assert content_of(bring_here(place, tmp_path)) == files
    assert proxy.reply_bytes - before < 1_800_000


def test_what_cannot_be_fetched_is_refused_before_anything_is(
    bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=f"there is nothing at {place}"):
        bring_here(place, tmp_path)
    with pytest.raises(DatasetError, match="there is no bucket 'no-such-bucket'"):
        bring_here(BucketLocation("no-such-bucket", "pets"), tmp_path)
    put(bucket_server, place, PETS)
    for limits, said in (
        (Limits(folder_files=3), "has more than 3 objects"),
        (Limits(content_bytes=16), "have 18 bytes in all, more than 16"),
    ):
        with pytest.raises(DatasetError, match=said):
            bring_here(place, tmp_path, limits=limits)
    with pytest.raises(DiskReserved, match="18 needed beside the reserve"):
        bring_here(place, tmp_path, reserve_bytes=1 << 60)
    assert not any(path.is_file() and path.name != "lock" for path in tmp_path.rglob("*"))


def test_a_key_that_may_not_read_is_named_without_the_secret(
    bucket_server: BucketServer, place: BucketLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(DatasetError, match=r"does not let this service read .*AWS_ACCESS_KEY_ID") as refused:
        bring_here(place, tmp_path)
    assert "another-secret" not in str(refused.value)


def test_an_archive_becomes_a_folder_of_the_same_name_and_back(
    bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    put(bucket_server, place, {"": b"an archive"})
    copy = bring_here(place, tmp_path)
    assert copy.path.read_bytes() == b"an archive"
    delete(bucket_server, BucketLocation(place.bucket, place.key.rpartition("/")[0]), "pets")
    put(bucket_server, place, PETS)
    assert content_of(bring_here(place, tmp_path)) == PETS


def test_copies_that_no_dataset_uses_are_deleted_after_a_while(
    bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    other = BucketLocation(place.bucket, f"{place.key}-2")
    for location in (place, other):
        put(bucket_server, location, {"cat/1.png": png(1)})
    kept, unused = (bring_here(location, tmp_path) for location in (place, other))
    assert delete_unused(tmp_path, lambda: [kept.location]) == 0  # it may be about to be read
    assert delete_unused(tmp_path, lambda: [kept.location], untouched_s=-1) == 1
    assert (kept.path.exists(), unused.path.exists()) == (True, False)
    assert len(list(tmp_path.iterdir())) == 1
    assert bring_here(other, tmp_path) == unused
