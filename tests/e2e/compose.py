"""Loads docker-compose.yml as a compose implementation does: interpolated and checked against the specification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from compose_spec import PyCompose
from podman_compose import rec_merge, rec_subs

ROOT = Path(__file__).parents[2]
SECRETS = {
    "POSTGRES_PASSWORD": "pg-secret",
    "POSTGRES_ADMIN_PASSWORD": "pg-admin-secret",
    "BROKER_PASSWORD": "broker-secret",
}


def load(environment: Mapping[str, str], *overrides: str) -> dict[str, Any]:
    """The file with variables from `environment`, changed by the files `overrides`, as `docker compose -f` does.

    Raises ValueError naming a required variable that is not set.
    """
    raw: dict[str, Any] = {}
    for name in ("docker-compose.yml", *overrides):
        rec_merge(raw, yaml.safe_load((ROOT / name).read_text()))
    interpolated: dict[str, Any] = rec_subs(raw, dict(environment))
    parsed = PyCompose.from_json(json.dumps(interpolated))
    parsed.validate()
    return interpolated
