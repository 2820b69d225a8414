"""Settings from the environment, their defaults and their validation."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

from autonl_core.host.cpus import available_cpus
from store.settings import Settings


def test_the_default_is_the_embedded_service(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/autonl.db"
    assert settings.resolved_artifact_url == f"file://{tmp_path}/artifacts"
    assert settings.dataset_roots == ()


@pytest.mark.parametrize("name", ["DATABASE_URL", "AUTONL_DATABASE_URL"])
def test_service_urls_have_a_short_and_a_full_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "postgresql://user:secret@db/autonl")
    assert Settings().resolved_database_url == "postgresql+psycopg://user:secret@db/autonl"


def test_dataset_roots_are_separated_as_in_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTONL_DATASET_ROOTS", f"{tmp_path}/a:{tmp_path}/b")
    assert Settings().dataset_roots == (tmp_path / "a", tmp_path / "b")


def test_a_lease_must_outlast_two_beats() -> None:
    with pytest.raises(ValidationError, match="AUTONL_BEAT_S is 10 and AUTONL_LEASE_S is 15"):
        Settings(beat_s=10, lease_s=15)


def test_a_search_process_gets_its_number_of_cpu_threads() -> None:
    environment = Settings(threads=3).search_process_environment()
    assert [environment[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")] == ["3"] * 3


def test_slots_share_the_cpus_unless_threads_are_set() -> None:
    cpus = available_cpus()
    assert Settings().threads == cpus
    assert Settings(slots=cpus).threads == 1
    assert Settings(slots=100 * cpus).threads == 1
    assert Settings(slots=100, threads=3).threads == 3


def test_waiting_threads_sleep_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert Settings().search_process_environment()["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert Settings().search_process_environment()["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize(
    ("said", "extras"), [("", set()), ("executorch", {"executorch"}), ("one, executorch,", {"one", "executorch"})]
)
def test_the_extras_that_workers_have_are_those_that_are_listed(
    monkeypatch: pytest.MonkeyPatch, said: str, extras: set[str]
) -> None:
    monkeypatch.setenv("AUTONL_EXPORT_EXTRAS", said)
    assert Settings().extras_of_workers == extras


def test_unless_they_are_listed_those_that_are_installed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "executorch", None)
    monkeypatch.setitem(sys.modules, "torchao", None)
    settings = Settings()
    assert "executorch" not in settings.extras_of_workers
    for module in ("executorch", "torchao"):
        there = ModuleType(module)
        there.__spec__ = ModuleSpec(module, None)
        monkeypatch.setitem(sys.modules, module, there)
    assert "executorch" in settings.extras_of_workers
