"""The same images are the same dataset in every container: listing, fingerprint, pixels, weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autonl_core.data.prepare import prepare
from autonl_core.datasets.scan import has_changed, list_items, scan
from autonl_core.datasets.sources import open_source
from autonl_core.datasets.spec import DatasetSpec
from tests.autonl_core.datasets.packed.samples import (
    CLASSES,
    checked,
    containers,
    images,
    parquet_of,
    shards_of,
    tar_of,
    write_folder,
    write_shards,
    write_zip,
)

Pack = Callable[..., dict[str, bytes]]


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DatasetSpec]:
    root = tmp_path_factory.mktemp("containers")
    places = containers(root, images())
    return {name: checked(path, root / f"work-{name}") for name, path in places.items()}


class TestCheckedDatasets:
    def test_they_have_one_fingerprint(self, specs: dict[str, DatasetSpec]) -> None:
        assert [spec.kind for spec in specs.values()] == ["folder", "zip", "shards", "shards", "parquet", "parquet"]
        assert len({spec.fingerprint for spec in specs.values()}) == 1

    def test_they_list_the_same_images_in_the_same_order(self, specs: dict[str, DatasetSpec]) -> None:
        first, *others = (list_items(spec) for spec in specs.values())
        assert [item.member for item in first] == sorted(images())
        assert all(items == first for items in others)

    @pytest.mark.long
    def test_they_have_the_same_pixels(self, specs: dict[str, DatasetSpec], tmp_path: Path) -> None:
        found = []
        for name, spec in specs.items():
            data = prepare(spec, 8, tmp_path / name)
            found.append(data.train.pixels.read(data.train.indices).tobytes())
        assert len(set(found)) == 1

    @pytest.mark.long
    def test_decoding_in_every_epoch_reads_the_container_that_is_asked_for(
        self, specs: dict[str, DatasetSpec], tmp_path: Path
    ) -> None:
        """They share a cache, in which decoded images do not fit."""
        copy = write_folder(tmp_path / "copy", images())  # written later: its files have other times
        found = []
        for spec in (*specs.values(), checked(copy, tmp_path / "work")):
            data = prepare(spec, 8, tmp_path / "cache", cache_limit_bytes=1)
            assert data.sharded
            found.append(data.train.pixels.read(data.train.indices).tobytes())
        assert len(set(found)) == 1


def test_another_image_is_another_fingerprint_in_each(tmp_path: Path) -> None:
    files = images()
    before = checked(write_shards(tmp_path / "before", files), tmp_path / "work-before")
    name = "train/cat/0000.png"
    files[name] = images(per_class=12)["test/cat/0009.png"]
    after = {key: checked(path, tmp_path / f"work-{key}") for key, path in containers(tmp_path, files).items()}
    assert len({spec.fingerprint for spec in after.values()} | {before.fingerprint}) == 2


def test_a_changed_shard_is_noticed_without_reading_it(tmp_path: Path) -> None:
    path = write_shards(tmp_path / "shards", images())
    spec = checked(path, tmp_path / "work")
    assert not has_changed(spec)
    assert DatasetSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    (path / "train-000000.tar").write_bytes(tar_of([]))
    assert has_changed(spec)


def test_a_dataset_in_an_archive_is_stored_as_it_always_was(tmp_path: Path) -> None:
    """Versions that know no shards read what this one found in a zip."""
    spec = checked(write_zip(tmp_path / "images.zip", images()), tmp_path / "work")
    assert "stored" not in spec.to_json()


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("pack", [shards_of, parquet_of])
def test_unchecked_packed_files_are_listed_as_a_folder_is(tmp_path: Path, pack: Pack, numbered: bool) -> None:
    folder = scan("pets", write_folder(tmp_path / "folder", images()))
    packed = scan("pets", write_folder(tmp_path / "packed", pack(images(), numbered=numbered)))
    assert packed.classes == folder.classes == CLASSES
    assert list_items(packed) == list_items(folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(sorted(images(4))),
    per_shard=st.integers(1, 20),
    numbered=st.booleans(),
    zipped=st.booleans(),
    is_parquet=st.booleans(),
)
def test_no_order_and_no_division_into_shards_changes_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[str],
    per_shard: int,
    numbered: bool,
    zipped: bool,
    is_parquet: bool,
) -> None:
    files = images(4)
    pack = parquet_of if is_parquet else shards_of
    packed = pack({name: files[name] for name in order}, per_shard, numbered=numbered)
    root = tmp_path_factory.mktemp("packed")
    path = write_zip(root / "images.zip", packed) if zipped else write_folder(root / "shards", packed)
    with open_source(path) as opened:
        assert set(opened.marks) == set(files)
        assert {name: opened.read(name) for name in files} == files
