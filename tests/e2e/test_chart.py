"""The deployment on Kubernetes, as the chart in deploy/helm describes it, rendered by Helm's own engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import helm_python
import kubernetes_validate
import pytest

from store.settings import Settings
from store.turns import SERVED_BY_GPU, SERVED_WITHOUT_GPU
from tests.e2e.chart import EVERYTHING, LEAST, SECRET, Manifest, lint, render
from tests.e2e.compose import SECRETS
from tests.e2e.compose import load as load_compose

OF_KEDA = "keda.sh/v1alpha1"
COMPONENTS = {"api", "sweeper", "checker", "webhooks", "worker-cpu", "worker-gpu"}


def of_kind(kind: str, values: dict[str, Any] | None = None) -> dict[str, Manifest]:
    """The manifests of a kind, by their component."""
    found = [one for one in render(values or EVERYTHING) if one["kind"] == kind]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in found}


def pods() -> dict[str, Manifest]:
    """The pods of all Deployments and of the migration, by component."""
    return {
        name: one["spec"]["template"]["spec"] for kind in ("Deployment", "Job") for name, one in of_kind(kind).items()
    }


def containers() -> Iterator[tuple[str, Manifest]]:
    for name, pod in pods().items():
        (container,) = pod["containers"]
        yield name, container


@pytest.mark.parametrize("values", [LEAST, EVERYTHING], ids=["least", "everything"])
def test_kubernetes_accepts_every_manifest(values: dict[str, Any]) -> None:
    assert lint(values) == []
    manifests = render(values)
    for manifest in manifests:
        if manifest["apiVersion"] != OF_KEDA:  # a resource of its own, which Kubernetes does not define
            kubernetes_validate.validate(manifest, "1.34", strict=True)
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "secrets.name is empty: name the secret"),
        (LEAST | {"keda": {"enabled": True}}, "keda.secretName is empty"),
        (LEAST | {"workrs": {}}, "workrs"),
        (LEAST | {"settings": {"PATH": "x"}}, "PATH"),
        (LEAST | {"workers": {"cpu": {"stopGraceSeconds": 0}}}, "stopGraceSeconds"),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm_python.HelmError, match=said):
        render(values)


def test_there_is_one_deployment_for_each_part_and_each_class_of_workers() -> None:
    assert set(of_kind("Deployment")) == COMPONENTS
    assert set(of_kind("Deployment", LEAST)) == COMPONENTS - {"worker-gpu"}
    compose = load_compose(SECRETS)["services"]
    for name, container in containers():
        service = compose["worker" if name.startswith("worker") else name]
        assert container["command"] == service["command"], name
        assert container["image"].partition(":")[0] == service["image"], name


def test_every_container_has_probes_limits_and_no_rights() -> None:
    for name, container in containers():
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}, name
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        probes = {"startupProbe", "livenessProbe", "readinessProbe"} & container.keys()
        assert len(probes) == (0 if name == "migrate" else 3), name
    for name, pod in pods().items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name


def test_a_database_that_is_away_restarts_nothing() -> None:
    """Only readiness asks for it."""
    for name, container in containers():
        if name != "migrate":
            assert container["livenessProbe"]["httpGet"]["path"] in ("/healthz", "/metrics"), name
            port = container["ports"][0]["containerPort"]
            own = [one["value"] for one in container["env"] if one["name"].endswith("_METRICS_PORT")]
            assert own == ([] if name == "api" else [str(port)]), name


def test_secrets_are_named_and_never_written() -> None:
    for name, container in containers():
        urls = {one["name"]: one for one in container["env"] if one["name"].endswith("_URL")}
        assert set(urls) == {"DATABASE_URL", "BROKER_URL", "ARTIFACT_URL"}, name
        for url in urls.values():
            assert url["valueFrom"]["secretKeyRef"] == {"name": SECRET, "key": url["name"]}
            assert "value" not in url
    assert not [one for one in render(EVERYTHING) if one["kind"] in ("Secret", "ConfigMap")]
    (parameter,) = of_kind("TriggerAuthentication")["keda"]["spec"]["secretTargetRef"]
    assert parameter == {"parameter": "connection", "name": "autonl-keda", "key": "KEDA_DATABASE_URL"}


def test_every_setting_is_read_by_the_code() -> None:
    known = {f"AUTONL_{name.upper()}" for name in Settings.model_fields} | {
        "DATABASE_URL",
        "BROKER_URL",
        "ARTIFACT_URL",
    }
    for name, container in containers():
        names = [one["name"] for one in container["env"]]
        assert set(names) <= known, name
        assert len(names) == len(set(names)), name


def test_a_worker_has_time_to_save_its_search_before_it_is_killed() -> None:
    for name, container in containers():
        if name.startswith("worker"):
            grace_s = next(float(one["value"]) for one in container["env"] if one["name"] == "AUTONL_STOP_GRACE_S")
            assert pods()[name]["terminationGracePeriodSeconds"] >= grace_s + 20, name


def test_only_workers_of_the_class_gpu_ask_for_gpus() -> None:
    asked = {name: container["resources"]["limits"].get("nvidia.com/gpu") for name, container in containers()}
    assert {name for name, gpus in asked.items() if gpus} == {"worker-gpu"}
    devices = {name: one["value"] for name, c in containers() for one in c["env"] if one["name"] == "AUTONL_DEVICE"}
    assert devices == {"worker-cpu": "cpu", "worker-gpu": "cuda"}


def test_the_migration_runs_before_every_version() -> None:
    (job,) = of_kind("Job").values()
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert [volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"] if "emptyDir" not in volume] == []


def test_everything_that_runs_may_be_moved_one_pod_at_a_time() -> None:
    budgets = of_kind("PodDisruptionBudget")
    assert set(budgets) == COMPONENTS
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == of_kind("Deployment")[name]["spec"]["selector"]


def test_nothing_is_reached_but_the_api_and_only_senders_of_webhooks_get_out() -> None:
    policies = of_kind("NetworkPolicy")
    everyone = policies["network"]["spec"]
    assert everyone["podSelector"]["matchLabels"].items() <= (
        of_kind("Job")["migrate"]["spec"]["template"]["metadata"]["labels"].items()
    )
    assert [port["port"] for rule in everyone["egress"] for port in rule["ports"]] == [53, 53, 5432, 6379]
    assert [rule["ports"] for rule in policies["api"]["spec"]["ingress"]] == [[{"protocol": "TCP", "port": 8000}]]
    ((rule,),) = [policies["webhooks"]["spec"]["egress"]]
    assert "169.254.0.0/16" in rule["to"][0]["ipBlock"]["except"]
    assert next(one for one in render(LEAST) if one["metadata"]["name"] == "shop-all")["spec"]["ingress"] == []


def test_workers_follow_the_queue_only_if_keda_is_asked_for() -> None:
    assert of_kind("ScaledObject", LEAST) == {}
    assert of_kind("Deployment", LEAST)["worker-cpu"]["spec"]["replicas"] == 1
    scaled = of_kind("ScaledObject")
    assert set(scaled) == {"worker-cpu", "worker-gpu"}
    for name, one in scaled.items():
        deployment = of_kind("Deployment")[name]
        assert one["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        assert "replicas" not in deployment["spec"]  # KEDA's


@pytest.mark.parametrize("component", ["worker-cpu", "worker-gpu"])
def test_the_queue_is_counted_by_a_query_that_the_database_understands(component: str, postgres: Any) -> None:
    """Searches that run count too: their pods must stay."""
    import psycopg

    from autonl_core.datasets.spec import DIGITS
    from store.stores import open_stores
    from tests.store.sample_rows import CONFIG

    stores = open_stores(Settings(database_url=postgres.emptied_database()))
    for resource_class in ("any", "cpu", "gpu", "gpu"):
        stores.searches.create(CONFIG.model_copy(update={"resource_class": resource_class}), DIGITS)
    assert stores.claims.claim("worker-1", SERVED_BY_GPU if component == "worker-gpu" else SERVED_WITHOUT_GPU)
    (trigger,) = of_kind("ScaledObject")[component]["spec"]["triggers"]
    url = stores.settings.database_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url) as connection:
        assert connection.execute(trigger["metadata"]["query"].encode()).fetchone() == (2,)
    stores.close()
