"""Hostile files and addresses (case 20 of docs/reliability.md).

Archives and paths go to a real API, images to the decoding of a real evaluation, checkpoints to what reads them. All
are processes of their own that write down where they connect, what they start and write, and the most memory they held.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from autonl_core.data.prepare import prepare
from autonl_core.datasets.scan import scan
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import build_network
from autonl_core.spec.space_families import get_space
from store.settings import Settings
from tests.api.http_service import SEARCH
from tests.reliability.audited_module import peak_mb
from tests.reliability.hostile import (
    GOOD,
    ZEROS,
    archive,
    crowded,
    inflating,
    large_images,
    no_archives,
    odd_images,
    patched,
    pickled,
    picture,
    refused_archives,
    refused_checkpoints,
    tar,
    truncated_images,
    unreadable_images,
)
from tests.reliability.service import ROOT, Service
from tests.servers import free_port, wait_for

pytestmark = pytest.mark.alone

API_MB = 300
TENSORS_MB = 900  # torch and a network take 350 of it, an image of 64 megapixels 256
MAX_S = 2.0


@dataclass
class Sandbox:
    """A service that may read `pictures`, and whatever lies around it."""

    root: Path
    service: Service
    log: Path

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def upload(self, content: bytes, name: str) -> httpx.Response:
        headers = {"Content-Type": "application/zip"}
        answer = self.service.client.post("/datasets", params={"name": name}, content=content, headers=headers)
        assert answer.status_code < 500, answer.text
        return answer

    def checked(self, name: str) -> dict[str, Any]:
        """The dataset, after its check."""
        wait_for(lambda: self._look(name)["state"] != "checking", f"{name} is checked", timeout_s=90)
        return self._look(name)

    def _look(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.service.client.get(f"/datasets/{name}").raise_for_status().json()
        return found

    def register(self, path: str | Path, name: str = "pets") -> httpx.Response:
        began = time.monotonic()
        answer = self.service.client.post("/datasets", json={"name": name, "path": str(path)})
        assert time.monotonic() - began < MAX_S
        return answer

    def files(self) -> set[Path]:
        """What is there but the service's own data."""
        return {path for path in self.root.rglob("*") if not path.is_relative_to(self.log.parent)}


@pytest.fixture(scope="module")
def sandbox(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    root = tmp_path_factory.mktemp("sandbox")
    (root / "pictures").mkdir()
    (root / "secrets").mkdir()
    for entry, content in GOOD:
        file = root / "secrets" / str(entry)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    data = root / "data"
    data.mkdir()
    shutil.copy(migrated_sqlite, data / "autonl.db")
    settings = Settings(
        data_dir=data,
        database_url=f"sqlite:///{data / 'autonl.db'}",
        broker_url=f"redis://127.0.0.1:{free_port()}/0",  # no broker listens there: none is needed
        dataset_roots=(root / "pictures",),
        check_poll_s=0.05,
        threads=1,
    )
    with contextlib.closing(Service(settings, {"PYTHONDONTWRITEBYTECODE": "1"})) as service:
        service.start("api", "tests.reliability.audited_module", str(data / "api.watched"), "uvicorn", "api.app:app")
        wait_for(service._answers, "the API answers", timeout_s=60)
        for number in range(2):
            service.start(f"checker-{number}", "worker.checker")
        yield Sandbox(root, service, data / "api.watched")
        assert_harmless(data / "api.watched", data, peak_mb(service.processes["api"].pid), API_MB)


def assert_harmless(log: Path, home: Path, peak: int, limit: int) -> None:
    """Nothing was connected to, looked up, started, or written elsewhere, and memory was enough."""
    for line in log.read_text().splitlines():
        event, _, what = line.partition(" ")
        inside = what == "" or Path(what).is_relative_to(home)
        assert event == "peak" or (event in ("write", "os.mkdir", "os.rename") and inside), line
    assert peak < limit


def run(log: Path, *command: str) -> subprocess.CompletedProcess[str]:
    watched = [sys.executable, "-m", "tests.reliability.audited_module", str(log), *command]
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{log.parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(log.parent),
        "MPLCONFIGDIR": str(log.parent),
    }
    return subprocess.run(watched, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def noted_peak(log: Path) -> int:
    return int(log.read_text().splitlines()[-1].removeprefix("peak "))


@pytest.mark.timeout(300)  # half a minute on two free cores: every archive is checked by a process of its own
def test_case_20_hostile_archives_are_refused(sandbox: Sandbox) -> None:
    """With the reason, before anything is decoded; nothing is extracted anywhere."""
    before = sandbox.files()
    cases = refused_archives(sandbox.root / "made")
    names = {kind: f"hostile-{number}" for number, kind in enumerate(cases)}
    for kind, (content, _) in cases.items():
        answer = sandbox.upload(content, names[kind])
        assert answer.status_code == 202, (kind, answer.text)
    for kind, (_, words) in cases.items():
        found = sandbox.checked(names[kind])
        assert found["state"] == "invalid", kind
        errors = [problem for problem in found["report"]["problems"] if problem["severity"] == "error"]
        assert [words in error["detail"] for error in errors] == [True], (kind, errors)
        assert len(errors[0]["detail"]) < 2000, kind
        assert sandbox.service.client.delete(f"/datasets/{names[kind]}").status_code == 204
    assert sandbox.files() == before


def test_case_20_what_is_no_archive_is_refused_at_once(sandbox: Sandbox) -> None:
    path = sandbox.pictures / "pets.zip"
    path.touch()
    before = sandbox.files()
    for kind, content in no_archives().items():
        path.write_bytes(content)
        for answer in (sandbox.upload(content, "pets"), sandbox.register(path)):
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/dataset-invalid"), (
                kind,
                answer.text,
            )
            assert "zip archive" in answer.json()["detail"], kind
            assert len(answer.text) < 2000, kind
    assert sandbox.files() == before
    path.unlink()


def test_case_20_in_a_crowd_no_file_is_read_in_place_of_another(sandbox: Sandbox) -> None:
    """All but one of the members have a name that is not that of their header."""
    members = 50_000
    assert sandbox.upload(crowded(members), "crowd").status_code == 202
    report = sandbox.checked("crowd")["report"]
    (unreadable,) = (problem for problem in report["problems"] if problem["code"] == "unreadable_images")
    assert (report["files"], unreadable["count"]) == (members, members - 1)


def test_case_20_links_and_depths_of_folders(sandbox: Sandbox) -> None:
    """A link may not lead out of what the service may read; depth and special files do no harm."""
    pets = sandbox.pictures / "linked"
    shutil.copytree(sandbox.root / "secrets", pets)
    (pets / "dog" / "link.png").symlink_to(pets / "cat" / "1.png")
    os.mkfifo(pets / "dog" / "pipe.png")
    (pets / "fox").symlink_to(sandbox.root / "secrets" / "cat")  # links to folders are not followed
    deep = [Path(f"{pets}/dog" + "/d" * depth) for depth in range(1, 1500)]
    for folder in deep:
        folder.mkdir()
    assert sandbox.register(pets, "linked").status_code == 202
    linked = sandbox.checked("linked")
    for folder in reversed(deep):  # what tidies up after the tests would not get to the bottom
        folder.rmdir()
    assert linked["classes"] == ["cat", "dog"], linked
    (pets / "cat" / "link.png").symlink_to(sandbox.root / "secrets" / "cat" / "1.png")
    assert sandbox.register(pets, "led-out").status_code == 202
    (problem,) = sandbox.checked("led-out")["report"]["problems"]
    assert (problem["severity"], problem["code"]) == ("error", "folder_refused")
    assert "'cat/link.png' is a link that leads out of the allowed folders" in problem["detail"]


def test_case_20_addresses_are_no_paths(sandbox: Sandbox) -> None:
    """Nothing that looks like an address is accepted anywhere, and no connection is made."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        hosts = ["169.254.169.254", "2130706433", "0x7f000001", "017700000001", "[::1]", "[::ffff:127.0.0.1]"]
        hosts += [f"127.0.0.1:{port}", f"localhost:{port}", f"2130706433:{port}", "metadata.google.internal"]
        for address in [f"{scheme}://{host}/pets.zip" for scheme in ("http", "https", "ftp", "file") for host in hosts]:
            bodies: list[tuple[str, dict[str, Any]]] = [
                ("/datasets", {"name": "pets", "path": address}),
                ("/datasets", {"name": address, "path": str(sandbox.pictures)}),
                ("/datasets", {"name": "pets", "path": str(sandbox.pictures), "url": address}),
                ("/searches", SEARCH | {"dataset": address}),
                ("/searches", SEARCH | {"webhook": address}),
                ("/searches", SEARCH | {"callback_url": address}),
            ]
            for path, body in bodies:
                answer = sandbox.service.client.post(path, json=body)
                assert answer.status_code == 422, (path, body, answer.text)
        listening.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listening.accept()
    # What the API has reached for all along is looked at when it ends: `assert_harmless`.


def test_case_20_hostile_images_are_reported_and_left_out(sandbox: Sandbox, tmp_path: Path) -> None:
    """The other images are scored, in bounded memory; no decoder runs a program or opens a connection."""
    made = tmp_path / "made"
    hostile = unreadable_images(made) | {f"lying-{n}.png": picture(n) for n in range(3)}
    hostile["lying-4.png"] = ZEROS * 300
    # Noise keeps the archive from being a bomb by its ratio. Of the liars, the list of members says something else.
    images = [*GOOD, *((f"cat/{name}", data) for name, data in (hostile | large_images()).items())]
    content = archive(*images, ("more/notes.txt", os.urandom(8 << 20)), good=())
    content = patched(content, "cat/lying-0.png", size=10)
    content = patched(content, "cat/lying-1.png", size=60_000_000)
    content = patched(content, "cat/lying-2.png", crc=1)
    content = patched(content, "cat/lying-4.png", size=10)
    path = sandbox.pictures / "images.zip"
    path.write_bytes(content)
    assert sandbox.upload(content, "images").status_code == 202
    checkpoint = tmp_path / "model.safetensors"
    write_checkpoint(checkpoint, tmp_path)
    cache = tmp_path / "run" / "cache"
    cache.parent.mkdir()
    log = tmp_path / "run" / "watched"
    done = run(
        log, "autonl_core", "evaluate", f"--checkpoint={checkpoint}", f"--dataset={path}", f"--cache-dir={cache}"
    )
    assert done.returncode == 0, done.stderr
    (report,) = (json.loads(file.read_text()) for file in cache.glob("*/report.json"))
    assert {problem["file"].removeprefix("cat/") for problem in report["problems"]} == set(hostile)
    assert report["images"] == len(GOOD) + len(large_images())
    problems = {problem["code"]: problem for problem in sandbox.checked("images")["report"]["problems"]}
    assert problems["unreadable_images"]["count"] == len(hostile)
    assert problems["unreadable_images"]["files"] == sorted(f"cat/{name}" for name in hostile)[:20]
    assert_harmless(log, log.parent, noted_peak(log), TENSORS_MB)
    assert not made.exists()


def test_case_20_odd_images_are_used_and_truncated_ones_are_not(sandbox: Sandbox) -> None:
    odd, cut = odd_images(), truncated_images()
    images = [(f"cat/{name}", data) for name, (data, _) in odd.items()]
    images += [(f"dog/{name}", data) for name, data in cut.items()]
    assert sandbox.upload(archive(*images), "odd").status_code == 202
    found = sandbox.checked("odd")
    files = {problem["code"]: problem["files"] for problem in found["report"]["problems"]}
    assert found["state"] == "ready", files
    assert files["unreadable_images"] == sorted(f"dog/{name}" for name in cut)[:20]
    assert [name for name, (_, code) in odd.items() if f"cat/{name}" not in files.get(code, [])] == []
    assert found["report"]["images"] == len(GOOD) + len(odd)


def test_case_20_there_are_more_than_a_hundred() -> None:
    made = Path("made")
    archives = len(refused_archives(made)) + len(no_archives())
    images = len(unreadable_images(made)) + len(truncated_images()) + len(odd_images())
    assert archives + images > 100


def write_checkpoint(path: Path, folder: Path) -> None:
    (folder / "good.zip").write_bytes(archive())
    pets = scan("pets", folder / "good.zip")
    save_checkpoint(path, build_network(get_space("tiny", 8, 2).largest()), pets, prepare(pets, 8, folder / "cache"))


READ_ALL = """
import sys
from pathlib import Path
from autonl_core.errors import CheckpointError
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.nn.weight_formats.pytorch_port import load_port_weights
from autonl_core.spec.zoo import ZOO

for file in map(Path, sys.argv[1:]):
    try:
        load_port_weights(file, ZOO["autonl_s"].arch) if file.suffix == ".pt" else load_checkpoint(file)
        print("accepted")
    except CheckpointError as error:
        print(str(error).replace(chr(10), " ")[:1000])
"""


def test_case_20_hostile_checkpoints_are_refused(tmp_path: Path) -> None:
    """With the reason, before any code in them runs and before memory is taken for what they claim."""
    made = tmp_path / "made"
    port = {
        "pickle.pt": (pickled(made), "would run code"),
        "inflating.pt": (inflating(), "PyTorch compresses nothing"),
        "tar.pt": (tar(""), "is not a readable PyTorch file"),
    }
    cases = refused_checkpoints(made) | port
    files = [tmp_path / kind for kind in cases]
    for file, (content, _) in zip(files, cases.values(), strict=True):
        file.write_bytes(content)
    (tmp_path / "read_all.py").write_text(READ_ALL)
    before = set(tmp_path.rglob("*"))
    log = tmp_path / "watched"
    done = run(log, "read_all", *map(str, files))
    assert done.returncode == 0, done.stderr
    for (kind, (_, words)), refusal in zip(cases.items(), done.stdout.splitlines(), strict=True):
        assert words in refusal, kind
    assert set(tmp_path.rglob("*")) == before | {log}
    assert_harmless(log, tmp_path, noted_peak(log), TENSORS_MB)


def test_case_20_a_checkpoint_that_runs_code_is_not_evaluated(tmp_path: Path) -> None:
    made, log = tmp_path / "made", tmp_path / "watched"
    (tmp_path / "model.pt").write_bytes(pickled(made))
    done = run(log, "autonl_core", "evaluate", f"--checkpoint={tmp_path / 'model.pt'}", "--dataset=digits")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'model.pt'} is not a readable safetensors file")
    assert not made.exists()
    assert_harmless(log, tmp_path, noted_peak(log), TENSORS_MB)
