"""Where in a bucket a dataset may be, and which names of objects can be files below a folder."""

from __future__ import annotations

import pytest

from autonl_core.datasets.buckets.location import BucketLocation, is_in_bucket
from autonl_core.datasets.buckets.object_names import folders_among, why_unusable
from autonl_core.errors import DatasetError


@pytest.mark.parametrize(
    ("text", "bucket", "key", "last"),
    [
        ("s3://photos", "photos", "", "photos"),
        ("s3://photos/", "photos", "", "photos"),
        ("s3://photos/pets/2024", "photos", "pets/2024", "2024"),
        ("s3://photos/pets/", "photos", "pets", "pets"),
        ("s3://photos/my pets ä.zip", "photos", "my pets ä.zip", "my pets ä.zip"),
    ],
)
def test_a_location_is_a_bucket_and_what_follows_it(text: str, bucket: str, key: str, last: str) -> None:
    location = BucketLocation.parse(text)
    assert (location.bucket, location.key, location.last) == (bucket, key, last)
    assert str(location) == text.removesuffix("/")
    assert is_in_bucket(text)


@pytest.mark.parametrize(
    "text",
    [
        "/photos/pets", "s3:/photos", "s3://", "s3:///pets", "S3://photos", "https://photos/pets", "s3://user@photos",
        "s3://photos:9000/pets", "s3://photos?x=1", "s3://photos/a//b", "s3://photos/../x", "s3://photos/a/./b",
        "s3://photos/a\nb", f"s3://photos/{'x' * 256}",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="is no place in a bucket"):
        BucketLocation.parse(text)


def test_a_location_is_within_itself_and_what_is_above_it() -> None:
    pets = BucketLocation.parse("s3://photos/pets")
    for above in ("s3://photos", "s3://photos/pets"):
        assert pets.is_within(BucketLocation.parse(above))
    for other in ("s3://photos/pet", "s3://photos/pets/cats", "s3://photo", "s3://other/pets"):
        assert not pets.is_within(BucketLocation.parse(other))


def test_names_that_leave_the_folder_or_cannot_be_files_are_unusable() -> None:
    assert why_unusable("train/cat/ä 1.png") is None
    for name in ("../x", "a/../x", "./x", "/x", "a//x", "a/", "a\0b", "a\x1bb", "x" * 256, "a/" + "ä" * 128):
        assert why_unusable(name) is not None, name


def test_folders_are_all_that_files_are_in() -> None:
    assert folders_among(["a/b/c.png", "a/d.png", "e.png"]) == {"a", "a/b"}
