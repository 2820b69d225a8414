"""`autonl tenants limits` on the database of this machine, and `autonl usage` from a service."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from cli.main import app
from store.quotas import TenantLimits
from store.settings import Settings
from tests.api.http_service import serving


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="autonl")


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_limits_are_set_shown_and_given_back_to_the_settings(tmp_path: Path) -> None:
    here = ("--data-dir", str(tmp_path))
    done("tenants", "create", "ants", *here)
    limits = ("tenants", "limits", "ants")
    assert "queued: none (setting)" in done(*limits, *here).splitlines()
    done(*limits, "--set", "queued=20", "--set", "priority=-1", *here)
    shown = json.loads(done(*limits, "--json", *here))
    assert shown["own"] == {"queued": 20, "priority": -1}
    assert set(shown["limits"]) == set(TenantLimits.model_fields)
    assert "queued: none (setting)" in done(*limits, "--set", "queued=default", *here).splitlines()


def test_what_is_no_limit_is_refused_with_the_existing_ones(tmp_path: Path) -> None:
    here = ("--data-dir", str(tmp_path))
    for change, said in (("speed=1", "compute_s_per_day"), ("queued=many", "queued=100"), ("queued=-1", "queued")):
        refused = run("tenants", "limits", "default", "--set", change, *here)
        assert refused.exit_code == 2
        assert said in refused.stderr
    assert run("tenants", "limits", "wasps", *here).exit_code == 2


def test_usage_lists_days_and_limits(tmp_path: Path) -> None:
    done("tenants", "limits", "default", "--set", "queued=3", "--data-dir", str(tmp_path))
    with serving(Settings(data_dir=tmp_path)) as client:
        url = str(client.base_url)
        client.post("/searches", json={"dataset": "digits", "flops_budget": "400k"})
        shown = done("usage", "--url", url)
        found = json.loads(done("usage", "--json", "--url", url))
        refused = run("usage", "--from", "2026-02-02", "--to", "2026-02-01", "--url", url)
    assert found["total"]["searches"] == 1
    assert [line.split()[-2:] for line in shown.splitlines() if "queued" in line] == [["1", "3"]]
    assert refused.exit_code == 2
