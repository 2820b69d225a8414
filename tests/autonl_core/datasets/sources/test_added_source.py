"""A data source is added by one file: a copy of the code gets it, and every part of the system offers and reads it."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autonl_core.datasets.sources import SOURCES
from tests.one_file_additions import output_of, tree_with

PATH = "autonl_core/datasets/sources/pack.py"
PACK = '''
"""A JSON file of images by name, encoded in base64: `{"pack": {"cat/1.png": "...", ...}}`."""

from __future__ import annotations

import base64
import contextlib
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from autonl_core.datasets.data_source import FileSource, Location
from autonl_core.datasets.limits import Limits
from autonl_core.errors import DatasetError


class OpenPack:
    def __init__(self, path: Path) -> None:
        self.files = {name: base64.b64decode(data) for name, data in json.loads(path.read_text())["pack"].items()}
        self.marks = {name: f"{zlib.crc32(data):08x}" for name, data in self.files.items()}

    def read(self, name: str) -> bytes:
        return self.files.get(name, b"")

    def locate(self, names: Iterable[str]) -> Iterator[Location]:
        for name in names:
            data = self.read(name)
            yield Location(name, 0, len(data), len(data), zlib.crc32(data))


class PackReader:
    def __init__(self, path: Path) -> None:
        self.pack = OpenPack(path)

    def read(self, location: Location) -> bytes:
        data = self.pack.read(location.name)
        return data if zlib.crc32(data) == location.mark else b""


class Pack:
    name = "pack"
    title = "a pack of images"

    def detect(self, path: Path) -> bool:
        return path.suffix == ".pack" and path.is_file()

    @contextlib.contextmanager
    def open(self, path: Path, limits: Limits, within: tuple[Path, ...]) -> Iterator[FileSource]:
        if not self.detect(path):
            raise DatasetError(f"no dataset at {path}: it is not {self.title}")
        try:
            yield OpenPack(path)
        except ValueError as error:
            raise DatasetError(f"{path} is damaged: {error}") from error

    def locate(self, path: Path, members: Iterable[str], limits: Limits) -> Iterator[Location]:
        return OpenPack(path).locate(members)

    def reader(self, path: Path, limits: Limits) -> PackReader:
        return PackReader(path)

    def storage_mark(self, path: Path) -> str:
        return ""


MEMBER = Pack()
'''


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((16, 16), Image.Resampling.NEAREST).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages, and one more data source."""
    return tree_with(tmp_path_factory.mktemp("added"), {PATH: PACK})


def write_pets(folder: Path) -> Path:
    """A dataset of two classes in the added form."""
    path = folder / "pets.pack"
    names = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(30)]
    images = {name: base64.b64encode(picture(seed)).decode() for seed, name in enumerate(names)}
    path.write_text(json.dumps({"pack": images}))
    return path


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pets(tmp_path_factory.mktemp("images"))


@pytest.mark.long
def test_it_is_found_checked_and_prepared_with_and_without_space_for_pixels(
    tree: Path, pets: Path, tmp_path: Path
) -> None:
    code = """
import sys; from pathlib import Path; import numpy as np
from autonl_core.data import build; from autonl_core.data.prepare import prepare
from autonl_core.dataset_check.check import check_dataset
from autonl_core.datasets.scan import find_dataset, has_changed
path, work = Path(sys.argv[1]), Path(sys.argv[2])
spec = find_dataset(str(path))
print(spec.kind, *spec.classes, spec.train_images, spec.test_images, has_changed(spec))
checked = check_dataset("pets", path, work)
print(checked.spec and checked.spec.kind, [problem.code for problem in checked.report.problems], len(checked.sheets))
build.ALONE_IMAGES = 0  # so that decode workers read it
cached, sharded = prepare(spec, 8, work / "a"), prepare(spec, 8, work / "b", cache_limit_bytes=1000)
first, second = (data.train.take(np.arange(len(data.train)))[0] for data in (cached, sharded))
print(cached.sharded, sharded.sharded, bool((first == second).all()), sharded.report.unreadable)
path.with_suffix(".broken.pack").write_text("{")
print(*(problem.code for problem in check_dataset("pets", path.with_suffix(".broken.pack"), work).report.problems))
"""
    assert output_of(tree, ["-c", code, str(pets), str(tmp_path)]).splitlines() == [
        "pack cat dog 48 12 False",
        "pack ['test_split_drawn'] 2",
        "False True True 0",
        "pack_refused",
    ]


@pytest.mark.long
def test_the_api_offers_and_registers_it(tree: Path, pets: Path, tmp_path: Path) -> None:
    code = """
import contextlib, sys, tempfile; from pathlib import Path
from fastapi.testclient import TestClient
from api.app import create_app
from store.migrate import upgrade
from store.settings import Settings
from store.stores import open_stores
from worker.check_process import check
pets, data = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings(data_dir=data, database_url=f"sqlite:///{data / 'autonl.db'}", dataset_roots=(pets.parent,))
upgrade(settings.database_url)
with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    print(*schemas["DatasetView"]["properties"]["kind"]["enum"])
    answer = client.post("/datasets", json={"name": "pets", "path": str(pets)})
    print(answer.status_code, answer.json()["kind"])
    with contextlib.closing(open_stores(settings)) as stores, tempfile.TemporaryDirectory() as work:
        check(stores, stores.checks.claim("checker"), Path(work))
    dataset = client.get("/datasets/pets").json()
    print(dataset["kind"], dataset["state"], *dataset["classes"])
    refused = client.post("/datasets", json={"name": "none", "path": str(pets.parent / "none")})
    print(refused.status_code, refused.json()["detail"].partition("expected ")[2])
"""
    kinds, registered, checked, refused = output_of(tree, ["-c", code, str(pets), str(tmp_path)]).splitlines()
    assert kinds.split() == ["builtin", *sorted([*SOURCES.names(), "pack"])]
    assert (registered, checked) == ("202 pack", "pack ready cat dog")
    assert refused.startswith("422 ")
    titles = {source.title for source in SOURCES.members()} | {"a pack of images"}
    assert set(re.split(", | or ", refused.removeprefix("422 "))) == titles
