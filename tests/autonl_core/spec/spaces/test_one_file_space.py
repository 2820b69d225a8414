"""A search space is one file: with it the API and the command line offer the space, and searches are accepted in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autonl_core.spec.space_families import SPACES
from tests.one_file_additions import output_of, tree_with

PATH = "autonl_core/spec/spaces/micro_8.py"
MICRO = '''
"""A skeleton with one layer to choose."""

from __future__ import annotations

from autonl_core.spec.search_space import StageSpec
from autonl_core.spec.space_families import SpaceFamily

MEMBER = SpaceFamily(
    name="micro-8",
    summary="for 8 pixels alone",
    resolutions=range(8, 9),
    stem_channels=8,
    stem_stride=1,
    head_channels=16,
    stages=(StageSpec(8, 1, 1, fixed=True), StageSpec(16, 2, 2)),
)
'''
ASK = """
import json
from fastapi.testclient import TestClient
from api.app import create_app
from store.migrate import upgrade
from store.settings import Settings

settings = Settings(data_dir="data")
upgrade(settings.resolved_database_url)
body = {"dataset": "digits", "flops_budget": "100k", "search_space": "micro-8"}
with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
    spaces = client.get("/search-spaces", params={"resolution": 8}).json()["search_spaces"]
    plan = client.post("/searches", params={"validate_only": True}, json=body)
print(json.dumps([spaces, plan.status_code, plan.json()]))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with one more file."""
    return tree_with(tmp_path_factory.mktemp("micro"), {PATH: MICRO})


@pytest.mark.long
def test_the_api_offers_it_and_accepts_a_search_in_it(tree: Path) -> None:
    spaces, status, plan = json.loads(output_of(tree, ASK))
    names = [space["name"] for space in spaces]
    in_order = ["mobile-224", "mobile-32", "micro-8", "tiny"]
    assert sorted(names) == sorted([*SPACES.names(), "micro-8"])
    assert [name for name in names if name in in_order] == in_order
    offered = spaces[names.index("micro-8")]
    assert (offered["min_resolution"], offered["max_resolution"]) == (8, 8)
    assert offered["macs_range"]["min_macs"] < 100_000 < offered["macs_range"]["max_macs"]
    assert (status, plan["search_space"]) == (200, "micro-8"), plan


def test_the_command_line_offers_it(tree: Path) -> None:
    assert "micro-8" in output_of(tree, ["-m", "cli.main", "search", "--help"], env={"COLUMNS": "200"})
