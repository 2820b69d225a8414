"""Every data source passes the conformance suite, and they are listed without being imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autonl_core.datasets.data_source import DataSource
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.datasets.sources import SOURCES, detect_source, expected_sources, open_source, require_source
from autonl_core.errors import DatasetError
from tests.autonl_core.datasets.sources.conformance import FILES, SourceConformance
from tests.autonl_core.datasets.sources.factories import FACTORIES, Factory
from tests.reliability.hostile import crowded


@pytest.fixture(params=SOURCES.names())
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


class TestSources(SourceConformance):
    @pytest.fixture
    def source(self, name: str) -> DataSource:
        return SOURCES.get(name)

    @pytest.fixture
    def factory(self, name: str) -> Factory:
        assert name in FACTORIES, f"add a factory of the data source {name!r} to factories.py"
        return FACTORIES[name]


def test_every_factory_has_a_source() -> None:
    assert FACTORIES.keys() <= set(SOURCES.names())


def test_names_are_listed_without_importing_sources() -> None:
    code = (
        "import json, sys; from autonl_core.datasets.spec import dataset_kinds\n"
        "kinds = dataset_kinds()\n"
        "loaded = [name for name in sys.modules if name.startswith('autonl_core.datasets.sources.')]\n"
        "print(json.dumps([kinds, loaded]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    kinds, loaded = json.loads(done.stdout)
    assert kinds == ["builtin", *SOURCES.names()]
    assert {"folder", "zip"} <= set(kinds)
    assert loaded == []


def test_a_path_of_no_source_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    *titles, last = (source.title for source in SOURCES.members())
    assert {"a folder", "a zip archive"} <= {*titles, last}
    assert expected_sources() == f"{', '.join(titles)} or {last}"
    for path in (tmp_path / "file", tmp_path / "missing"):
        assert detect_source(path) is None
        with pytest.raises(DatasetError, match=f"no dataset at {path}: expected {expected_sources()}"):
            require_source(path)


def test_a_source_is_opened_as_the_kind_that_is_given(tmp_path: Path) -> None:
    FACTORIES["zip"].write(tmp_path / "images.zip", FILES)
    with open_source(tmp_path / "images.zip") as files, open_source(tmp_path / "images.zip", kind="zip") as same:
        assert files.marks == same.marks
    with pytest.raises(DatasetError, match="it is not a folder"), open_source(tmp_path / "images.zip", kind="folder"):
        pass
    with pytest.raises(DatasetError, match="'tape' is unknown"), open_source(tmp_path / "images.zip", kind="tape"):
        pass


def test_no_member_of_an_archive_is_read_in_place_of_another(tmp_path: Path) -> None:
    """Four members are listed, all of which refer to the header of the first one."""
    path = tmp_path / "crowd.zip"
    path.write_bytes(crowded(4))
    source, names = SOURCES.get("zip"), [f"{'ab'[number % 2]}/{number:07}.png" for number in range(4)]
    reader = source.reader(path, DEFAULT_LIMITS)
    located = [reader.read(location) for location in source.locate(path, names, DEFAULT_LIMITS)]
    with source.open(path, DEFAULT_LIMITS, ()) as files:
        opened = [files.read(name) for name in names]
    assert located == opened
    assert [bool(content) for content in located] == [True, False, False, False]
