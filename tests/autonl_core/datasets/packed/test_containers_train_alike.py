"""A whole search of the same images ends with the same bits, whatever container they are in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autonl_core.datasets.buckets.local_copy import bring_here
from autonl_core.datasets.scan import list_items
from autonl_core.datasets.spec import DatasetSpec
from tests.autonl_core.datasets.buckets.objects import put_folder
from tests.autonl_core.datasets.packed.samples import checked, containers, write_folder
from tests.autonl_core.digit_archives import few_digits, read_members
from tests.autonl_core.small_searches import QUICK, search
from tests.buckets import BucketServer, bucket_server, bucket_url
from tests.reliability.reference_search import REAL, uninterrupted_weights_sha256

__all__ = ["bucket_server", "bucket_url"]

pytestmark = pytest.mark.long

CONTAINERS = ("zip", "shards", "shards-in-zip", "parquet", "parquet-in-zip")
SHORT: dict[str, Any] = {
    "supernet": {**QUICK["supernet"], "epochs": 1, "candidates": 4},
    "train": {**QUICK["train"], "epochs": 2},
}


def digits() -> dict[str, bytes]:
    """Four hundred digits, in the splits that a search on them has."""
    spec = few_digits()
    split_of = {item.member: item.split for item in list_items(spec)}
    return {f"{split_of[name]}/{name}": data for name, data in read_members(spec, sorted(split_of))}


def weights_of(spec: DatasetSpec, root: Path, cache_limit_bytes: int = 0) -> str:
    """SHA-256 of the weights of a search with a cache of its own, so that none reads what another one decoded."""
    result = search(root / "work", root / "cache", spec, cache_limit_bytes=cache_limit_bytes, **SHORT)
    return result.files["safetensors"].sha256


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return containers(tmp_path_factory.mktemp("containers"), digits(), per_shard=100)


@pytest.fixture(scope="module")
def of_folder(places: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Fingerprint and weights."""
    root = tmp_path_factory.mktemp("folder")
    spec = checked(places["folder"], root / "check")
    assert spec.train_images + spec.test_images == 399  # one training image shows what a test image shows
    return spec.fingerprint, weights_of(spec, root)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CONTAINERS)
def test_another_container_gives_the_weights_of_the_folder(
    name: str, places: dict[str, Path], of_folder: tuple[str, str], tmp_path: Path
) -> None:
    spec = checked(places[name], tmp_path / "check")
    assert (spec.fingerprint, weights_of(spec, tmp_path)) == of_folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["folder", "zip", "shards", "parquet"])
def test_a_container_in_a_bucket_gives_them_too(
    name: str,
    places: dict[str, Path],
    of_folder: tuple[str, str],
    bucket_server: BucketServer,
    bucket_url: str,
    tmp_path: Path,
) -> None:
    copy = bring_here(put_folder(bucket_server, places[name]), tmp_path / "copies")
    spec = checked(copy.path, tmp_path / "check")
    assert (spec.fingerprint, weights_of(spec, tmp_path)) == of_folder


@pytest.mark.timeout(300)
def test_a_bucket_without_a_service_gives_what_the_folder_does(
    bucket_server: BucketServer, bucket_url: str, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "digits", digits())
    found = []
    for name, path in (("disk", str(folder)), ("bucket", str(put_folder(bucket_server, folder)))):
        (tmp_path / name).mkdir()
        found.append(uninterrupted_weights_sha256(tmp_path / name, {**REAL, "dataset": "few"}, path))
    assert found[0] == found[1]
    assert len(list((tmp_path / "bucket/out/bucket-copies").iterdir())) == 1


@pytest.mark.timeout(300)
def test_decoding_shards_in_every_epoch_gives_the_same_weights(
    places: dict[str, Path], of_folder: tuple[str, str], tmp_path: Path
) -> None:
    spec = checked(places["shards"], tmp_path / "check")
    assert weights_of(spec, tmp_path, cache_limit_bytes=1) == of_folder[1]


@pytest.mark.timeout(300)
def test_another_image_gives_other_weights(of_folder: tuple[str, str], tmp_path: Path) -> None:
    files = digits()
    names = sorted(name for name in files if name.startswith("train/"))
    files[names[0]] = files[names[-1]]  # a nine among the zeros
    spec = checked(containers(tmp_path, files)["zip"], tmp_path / "check")
    assert weights_of(spec, tmp_path) != of_folder[1]
