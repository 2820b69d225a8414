"""Models on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.stores import Stores
from tests.api.http_service import CONTENT, run_to_success
from tests.cli.test_commands import as_json, autonl

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def searches(stores: Stores, tmp_path: Path, service: object) -> list[str]:
    """Two searches that have succeeded."""
    made = []
    for _ in range(2):
        made.append(as_json("search", "-d", "digits", "-b", "400k")["id"])
        run_to_success(stores, tmp_path)
    return made


def lines(*arguments: str) -> list[list[str]]:
    return [line.split() for line in autonl(*arguments).stdout.splitlines()]


def test_promote_list_roll_back_show_and_remove(searches: list[str]) -> None:
    old, new = searches
    assert "No models yet" in autonl("models", "list").stdout
    promoted = autonl("models", "promote", "products@prod", old).stdout
    assert f"products@prod stands for search {old} (98.00% top-1, " in promoted.replace("\n", " ")
    autonl("models", "promote", "products@prod", new, "--note", "better")
    (row,) = (line for line in lines("models", "list") if line and line[0] == "products@prod")
    assert row[1:4] == [new, "digits", "98.00%"]
    assert row[-1] == "better"
    assert as_json("models", "rollback", "products@prod", "--note", "slow")["search_id"] == old
    history = [line for line in lines("models", "show", "products") if "prod" in line]
    assert [line[:2] for line in history] == [["now", "3"], ["2", "prod"], ["1", "prod"]]
    assert history[0][-5:] == ["back", "to", "no.", "1;", "slow"]
    refused = autonl("models", "rollback", "products@prod")
    assert refused.exit_code != 0
    assert "products@prod stood for nothing before promotion 3" in refused.output
    assert "alias products@prod removed" in autonl("models", "remove", "products@prod").stdout
    assert as_json("models", "list") == {"models": []}


def test_the_file_of_an_alias_is_downloaded(searches: list[str], tmp_path: Path) -> None:
    autonl("models", "promote", "products@prod", searches[0])
    said = as_json("models", "download", "products@prod", "-o", str(tmp_path / "network.safetensors"))
    assert Path(said["path"]).read_bytes() == CONTENT


def test_what_names_no_alias_is_refused(searches: list[str]) -> None:
    refused = autonl("models", "promote", "products", searches[0])
    assert refused.exit_code == 2
    assert "'products' names no alias of a model; write it as in products@prod" in refused.output


def test_an_alias_may_stand_wherever_a_search_is_named(searches: list[str], tmp_path: Path) -> None:
    autonl("models", "promote", "products@prod", searches[0])
    assert as_json("status", "products@prod")["id"] == searches[0]
    said = as_json("download", "products@prod", "-o", str(tmp_path / "network.safetensors"))
    assert Path(said["path"]).read_bytes() == CONTENT
    assert as_json("models", "promote", "products@canary", "products@prod")["search_id"] == searches[0]
    unknown = autonl("status", "products@staging")
    assert unknown.exit_code != 0
    assert "no alias 'staging' of a model 'products'" in unknown.output
