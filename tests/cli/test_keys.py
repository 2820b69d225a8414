"""`autonl keys` and `autonl tenants` on the database of this machine, and commands that send a key."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import app
from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import serving


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="autonl")


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_key_is_shown_once_and_listed_and_revoked_by_its_id(tmp_path: Path) -> None:
    here = ("--data-dir", str(tmp_path))
    done("tenants", "create", "ants", *here)
    key = done("keys", "create", "--tenant", "ants", "--scope", "read", "--name", "laptop", *here).strip()
    with contextlib.closing(open_stores(Settings(data_dir=tmp_path))) as stores:
        caller = stores.keys.find(key)
    assert caller is not None
    assert (caller.tenant_id, caller.scopes, caller.key_name) == ("ants", frozenset(["read"]), "laptop")
    (listed,) = json.loads(done("keys", "list", "--json", *here))["keys"]
    assert listed["id"] == key.split("_")[1]
    assert key.split("_")[2] not in json.dumps(listed)
    done("keys", "revoke", listed["id"], *here)
    assert "revoked" in done("keys", "list", *here)
    assert done("tenants", "list", *here).split() == ["ants", "default"]
    done("tenants", "delete", "ants", "--yes", *here)
    refused = run("keys", "create", "--tenant", "ants", *here)
    assert refused.exit_code == 2
    assert "the existing ones are: default" in refused.stderr


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_a_command_sends_its_key(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = done("keys", "create", "--data-dir", str(tmp_path)).strip()
    with serving(Settings(data_dir=tmp_path, require_keys=True)) as client:
        url = str(client.base_url)
        refused = run("--url", url, "list")
        assert refused.exit_code == 2
        assert "--key KEY, or AUTONL_KEY" in refused.stderr
        if place == "environment":
            monkeypatch.setenv("AUTONL_KEY", key)
            assert "no searches" in done("--url", url, "list")
        elif place == "before":
            monkeypatch.setenv("AUTONL_KEY", "another")
            assert "no searches" in done("--url", url, "--key", key, "list")
        else:
            assert "no searches" in done("list", "--url", url, "--key", key)


def test_up_refuses_another_address_without_a_key_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    refused = run("up", "--host", "192.0.2.1", "--data-dir", str(folder))
    assert refused.exit_code == 2
    assert "autonl keys create --data-dir" in refused.stderr
    assert "AUTONL_REQUIRE_KEYS=true" in refused.stderr
    assert not folder.exists()
