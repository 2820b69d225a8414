"""The production deployment, as docker-compose.yml and the Dockerfiles describe it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from store.settings import Settings
from tests.e2e.compose import ROOT, SECRETS, load

OURS = ("migrate", "api", "sweeper", "checker", "worker")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = load(SECRETS)["services"]
    return loaded


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_there_is_no_default_secret(missing: str) -> None:
    with pytest.raises(ValueError, match=f"{missing} is missing a value: set it to a secret of your own"):
        load({name: value for name, value in SECRETS.items() if name != missing})


def test_secrets_come_only_from_the_environment() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        for use in re.findall(rf"\$\{{?{name}[^}}]*", text):
            assert use.startswith((f"${{{name}:?", f"${name}")), use
            assert ":-" not in use


def test_every_service_waits_for_its_dependencies(services: dict[str, Any]) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("api", "sweeper", "checker", "worker"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }


def test_every_long_running_service_has_a_health_check(services: dict[str, Any]) -> None:
    for name in set(services) - {"migrate"}:
        assert services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_only_the_worker_has_a_gpu_and_only_the_api_publishes_a_port(services: dict[str, Any]) -> None:
    devices = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]
    assert [name for name in services if "deploy" in services[name]] == ["worker"]
    assert [name for name in services if "ports" in services[name]] == ["api"]
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]


def test_datasets_are_mounted_read_only(services: dict[str, Any]) -> None:
    for name in ("api", "checker", "worker"):
        assert "./datasets:/datasets:ro" in services[name]["volumes"]
        assert services[name]["environment"]["AUTONL_DATASET_ROOTS"] == "/datasets"


def test_every_setting_in_the_file_is_read_by_the_code(services: dict[str, Any]) -> None:
    known = {f"AUTONL_{name.upper()}" for name in Settings.model_fields} | {"DATABASE_URL", "BROKER_URL"}
    for name in OURS:
        assert set(services[name]["environment"]) <= known


def test_a_worker_has_time_to_save_its_search_before_it_is_killed(services: dict[str, Any]) -> None:
    assert int(services["worker"]["stop_grace_period"].removesuffix("s")) > Settings().stop_grace_s


@pytest.mark.parametrize("image", ["api", "worker"])
def test_images_copy_existing_files_and_do_not_run_as_root(image: str) -> None:
    lines = (ROOT / f"docker/{image}.Dockerfile").read_text().splitlines()
    copied = [source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert "README.md" in copied  # pyproject.toml refers to it, so the installation needs it
    build_context = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in copied} <= set(build_context)
    assert lines[-1] == "USER autonl"


def test_only_the_worker_s_image_contains_torch() -> None:
    assert "[worker]" not in (ROOT / "docker/api.Dockerfile").read_text()
    assert ".[worker]" in (ROOT / "docker/worker.Dockerfile").read_text()
