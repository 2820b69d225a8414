"""Renders the Helm chart by Helm's own engine, offline."""

from __future__ import annotations

import functools
import json
from typing import Any

import helm_python
import yaml

from tests.e2e.compose import ROOT

CHART = ROOT / "deploy/helm/autonl"
SECRET = "autonl-servers"
EVERYTHING: dict[str, Any] = {
    "secrets": {"name": SECRET, "artifactUrlKey": "ARTIFACT_URL"},
    "workers": {"gpu": {"enabled": True}},
    "keda": {"enabled": True, "secretName": "autonl-keda"},
    "datasets": {"existingClaim": "photos"},
    "api": {"allowedHosts": "search.example.org"},
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
}
LEAST: dict[str, Any] = {"secrets": {"name": SECRET}}

Manifest = dict[str, Any]


def render(values: dict[str, Any]) -> list[Manifest]:
    """Every manifest of the chart with these values. Raises helm_python.HelmError, as `helm install` refuses them."""
    return json.loads(_rendered(json.dumps(values)))  # type: ignore[no-any-return]


@functools.cache
def _rendered(values: str) -> str:
    chart = helm_python.Chart.load(CHART)
    files = chart.render(json.loads(values), name="shop", namespace="autonl")
    documents = [one for text in files.values() for one in yaml.safe_load_all(text) if one]
    return json.dumps(documents)


def lint(values: dict[str, Any]) -> list[str]:
    """What `helm lint --strict` says."""
    report = helm_python.lint(CHART, values, strict=True)
    return [*report["errors"], *(one["error"] for one in report["messages"] if one["severity"] >= 2)]
