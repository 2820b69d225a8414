"""The production deployment, as docker-compose.yml and the Dockerfiles describe it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
import yaml

from store.migrate import upgrade
from store.settings import Settings
from tests.e2e.compose import ROOT, SECRETS, load
from tests.servers import PostgresServer

OURS = ("migrate", "api", "sweeper", "checker", "webhooks", "worker")


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
    for name in ("api", "sweeper", "checker", "webhooks", "worker"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }


def test_every_long_running_service_has_a_health_check(services: dict[str, Any]) -> None:
    for name in set(services) - {"migrate"}:
        assert services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_only_the_worker_has_a_gpu(services: dict[str, Any]) -> None:
    reserved = {name: one["deploy"]["resources"].get("reservations") for name, one in services.items()}
    assert [name for name, what in reserved.items() if what] == ["worker"]
    assert reserved["worker"]["devices"][0]["capabilities"] == ["gpu"]


def test_ports_are_published_on_loopback_unless_the_tls_proxy_is_asked_for(services: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published["api"] == ["127.0.0.1:8000:8000"]
    assert published["prometheus"] == ["127.0.0.1:9090:9090"]
    assert set(published) == {"api", "prometheus", "caddy"}
    assert {name: services[name].get("profiles") for name in published} == {
        "api": None,
        "prometheus": ["monitoring"],
        "caddy": ["tls"],
    }


def test_every_service_has_limits_and_rotated_logs_and_time_to_stop(services: dict[str, Any]) -> None:
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert (float(limits["cpus"]) > 0, limits["memory"][-1] in "mg") == (True, True), name
        assert int(service["logging"]["options"]["max-file"]) > 1, name
        assert service["logging"]["options"]["max-size"].endswith("m"), name
        if name != "migrate":  # runs to its end before anything starts
            assert int(service["stop_grace_period"].removesuffix("s")) >= 15, name


def test_the_check_process_fits_the_memory_of_its_container(services: dict[str, Any]) -> None:
    limit_bytes = int(services["checker"]["deploy"]["resources"]["limits"]["memory"].removesuffix("g")) << 30
    assert limit_bytes > Settings().check_memory_bytes


def test_the_service_is_no_superuser_of_its_database(services: dict[str, Any]) -> None:
    assert services["postgres"]["environment"]["POSTGRES_USER"] == "postgres"
    for name in OURS:
        assert services[name]["environment"]["DATABASE_URL"].startswith("postgresql://autonl:")
        assert SECRETS["POSTGRES_ADMIN_PASSWORD"] not in str(services[name]["environment"])


def test_the_role_that_the_script_creates_may_migrate_and_is_no_superuser(postgres: PostgresServer) -> None:
    script = (ROOT / "deploy/postgres/10-service-role.sh").read_text()
    statements = script.partition("<<'SQL'\n")[2].partition("\nSQL\n")[0].replace(":'password'", "'pg-secret'")
    admin = psycopg.connect(postgres.url("postgres"), autocommit=True)
    with admin:
        for statement in statements.strip().split(";\n"):
            admin.execute(statement.encode())
    try:
        url = postgres.url("autonl").replace("postgres@", "autonl:pg-secret@")
        upgrade(Settings(database_url=url).resolved_database_url)
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        assert row == (False, False, False, False)
    finally:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
            admin.execute("DROP DATABASE autonl WITH (FORCE)")
            admin.execute("DROP ROLE autonl")


def test_prometheus_finds_every_process_at_the_port_that_it_serves(services: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yml").read_text())
    jobs = {job["job_name"].removeprefix("autonl-"): job for job in config["scrape_configs"]}
    for name, service in (("worker", "worker"), ("checker", "checker"), ("sweeper", "sweeper"), ("sender", "webhooks")):
        (target,) = jobs[name]["dns_sd_configs"]
        port = int(services[service]["environment"][f"AUTONL_{name.upper()}_METRICS_PORT"])
        assert (target["names"], target["port"]) == ([service], port)
    assert jobs["api"]["static_configs"] == [{"targets": ["api:8000"]}]


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
    copies = [line for line in lines if line.startswith("COPY ") and "--from=" not in line]
    copied = [source for line in copies for source in line.split()[1:-1]]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert "README.md" in copied  # pyproject.toml refers to it, so the installation needs it
    build_context = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in copied} <= set(build_context)
    assert lines[-1] == "USER autonl"


def test_only_the_worker_s_image_contains_torch() -> None:
    assert "[worker]" not in (ROOT / "docker/api.Dockerfile").read_text()
    assert ".[worker,s3,parquet]" in (ROOT / "docker/worker.Dockerfile").read_text()


@pytest.mark.long
def test_one_worker_uses_several_gpus_with_the_file_for_them() -> None:
    settings = {"WORKER_GPUS": "all", "WORKER_CPUS": "32"}
    worker = load(SECRETS | settings, "deploy/docker-compose.gpus.yml")["services"]["worker"]
    (gpus,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (gpus["count"], gpus["driver"]) == ("all", "nvidia")
    assert worker["deploy"]["resources"]["limits"] == {"cpus": "32", "memory": "192g"}
    assert (worker["environment"]["AUTONL_DEVICE"], worker["environment"]["AUTONL_SLOTS"]) == ("cuda", "0")
    assert worker["environment"]["DATABASE_URL"].startswith("postgresql://autonl:")
    assert worker["shm_size"] == "16g"


def test_without_that_file_a_worker_has_one_gpu(services: dict[str, Any]) -> None:
    (gpus,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert str(gpus["count"]) == "1"


def test_a_bucket_is_added_by_a_second_file_with_secrets_from_the_environment_only() -> None:
    text = (ROOT / "deploy/bucket/docker-compose.yml").read_text()
    for name in ("ARTIFACT_URL", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert f"{name}: ${{{name}:?" in text
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"api", "sweeper", "checker", "worker"}  # who reads or writes files of searches
