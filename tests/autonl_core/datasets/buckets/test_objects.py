"""What a bucket lists: names that other programs put, which the server of the other tests would not take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

import pytest

from autonl_core.datasets.buckets.location import BucketLocation
from autonl_core.datasets.buckets.objects import BucketObjects, Listing
from autonl_core.datasets.limits import Limits
from autonl_core.errors import DatasetError

PETS = BucketLocation("photos", "pets")
ListOf = Callable[[dict[str, int]], Listing]


@pytest.fixture
def list_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[ListOf]:
    """Lists objects of these keys and sizes, of a server that has no others and no object `pets`."""
    sizes: dict[str, int] = {}

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def do_GET(self) -> None:
            rows = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>&quot;e{size}&quot;</ETag>"
                "<LastModified>2020-01-01T00:00:00.000Z</LastModified></Contents>"
                for key, size in sizes.items()
            )
            text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)

    def list_these(listed: dict[str, int]) -> Listing:
        sizes.clear()
        sizes.update(listed)
        return BucketObjects(PETS).list(Limits())

    yield list_these
    server.shutdown()
    server.server_close()


def test_objects_that_stand_for_folders_are_no_files(list_of: ListOf) -> None:
    """As consoles of clouds make them."""
    listing = list_of({"pets/": 0, "pets/cat/": 0, "pets/cat/1.png": 3, "pets/cat/a/b/2.png": 4})
    assert [one.name for one in listing.objects] == ["cat/1.png", "cat/a/b/2.png"]
    assert (listing.size_bytes, listing.is_one) == (7, False)


def test_what_is_not_below_the_prefix_is_not_used(list_of: ListOf) -> None:
    assert [one.name for one in list_of({"pets/1.png": 3, "pets2/1.png": 3, "pe": 3}).objects] == ["1.png"]


@pytest.mark.parametrize(
    "key", ["pets/../secret", "pets/./x", "pets/a//b", "pets/a\tb", f"pets/{'x' * 256}", f"pets/{'ä' * 128}/1.png"]
)
def test_a_name_that_no_file_can_have_is_refused(list_of: ListOf, key: str) -> None:
    with pytest.raises(DatasetError, match=r"rename it"):
        list_of({"pets/1.png": 3, key: 3})


def test_a_name_of_a_file_and_of_a_folder_is_refused(list_of: ListOf) -> None:
    with pytest.raises(DatasetError, match=r"the object 'cat' at s3://photos/pets: there are others below it"):
        list_of({"pets/cat": 3, "pets/cat/1.png": 3})


def test_the_mark_changes_with_names_sizes_and_versions(list_of: ListOf) -> None:
    marks = [list_of(listed).mark for listed in ({"pets/a": 1}, {"pets/b": 1}, {"pets/a": 2}, {"pets/a": 1})]
    assert len(set(marks)) == 3
    assert marks[0] == marks[3]
