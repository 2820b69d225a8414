"""Searches from pretrained weights over HTTP: what `init` becomes, what is refused, and which weights are in use."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import httpx
import pytest
from safetensors.torch import save
from sqlalchemy import update

from autonl_core.nn.network import build_network
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.space_families import SPACES
from autonl_core.spec.zoo import ZOO
from store.db import Database
from store.models import Search
from store.settings import Settings
from tests.api.http_service import SEARCH, check_datasets, check_weights, refusal, start
from tests.autonl_core.photo_like_images import encoded, photo

LITE0 = "efficientnet-lite0"
PHOTOS: dict[str, Any] = {"dataset": "photos", "flops_budget": "28M"}


@pytest.fixture
def photos(client: httpx.Client, settings: Settings) -> None:
    """A dataset of two classes with eight photos of 128 pixels each, that can be searched on."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for seed in range(16):
            archive.writestr(f"{'left' if seed < 8 else 'right'}/{seed}.jpg", encoded(photo(seed, 128), "JPEG"))
    sent = client.post(
        "/datasets", params={"name": "photos"}, content=buffer.getvalue(), headers={"Content-Type": "application/zip"}
    )
    assert sent.status_code == 202, sent.text
    check_datasets(settings)


# What a search for digits is given where it asks for nothing.
DECIDED = {
    "augment": {"policy": "none"},
    "supernet": {"epochs": 1, "candidates": 8, "generations": 1, "finalists": 1},
}


def config_of(client: httpx.Client, search_id: str) -> dict[str, Any]:
    config: dict[str, Any] = client.get(f"/searches/{search_id}").json()["config"]
    return config


def refused_fields(client: httpx.Client, body: dict[str, Any]) -> dict[str, str]:
    """Pointer -> detail of a body that is refused as invalid."""
    problem = refusal(client.post("/searches", json=body), 422, "invalid-request")
    return {error["pointer"]: error["detail"] for error in problem["errors"]}


def test_digits_start_at_random_unless_other_weights_are_asked_for(client: httpx.Client) -> None:
    config = config_of(client, start(client))
    assert (config["init"], config["train"]["optimizer"]) == ("none", "sgd")
    assert SearchConfig.model_validate(config) == SearchConfig.model_validate(SEARCH | DECIDED)


@pytest.mark.usefixtures("photos")
def test_photos_start_from_pretrained_weights_with_the_defaults_that_suit_them(client: httpx.Client) -> None:
    config = config_of(client, start(client, **PHOTOS, train={"epochs": 7}))
    assert (config["init"], config["search_space"], config["resolution"]) == (LITE0, "lite", None)
    assert (config["train"]["optimizer"], config["train"]["weights"], config["train"]["epochs"]) == (
        "adamw",
        "inherit",
        7,
    )
    at_random = config_of(client, start(client, **PHOTOS | {"init": "none", "flops_budget": "40M"}))
    assert (at_random["init"], at_random["train"]["optimizer"]) == ("none", "sgd")
    by_name = config_of(client, start(client, **PHOTOS, init=LITE0, train={"epochs": 7}))
    assert by_name == config


@pytest.mark.usefixtures("photos")
def test_weights_that_cannot_start_the_search_are_refused_at_init(client: httpx.Client) -> None:
    unknown = refused_fields(client, PHOTOS | {"init": "nowhere", "seed": -1})
    assert unknown.keys() == {"/init", "/seed"}
    assert "'nowhere'" in unknown["/init"]
    for listed in client.get("/weights").json()["weights"]:
        assert listed["name"] in unknown["/init"]
    unfit = refused_fields(client, PHOTOS | {"init": LITE0, "search_space": "mobile-32"})
    assert unfit.keys() == {"/init"}
    assert "starts searches in 'lite', not in 'mobile-32'" in unfit["/init"]


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("init", "smallest", "pixels"), [("auto", ("mobile-32-narrow", 32), 32), (LITE0, ("lite", 64), 64)]
)
def test_a_budget_met_at_no_resolution_is_answered_with_the_range_over_all(
    client: httpx.Client, init: str, smallest: tuple[str, int], pixels: int
) -> None:
    answer = client.post("/searches", json=PHOTOS | {"init": init, "flops_budget": "1k"})
    problem = refusal(answer, 422, "budget-infeasible")
    (field,) = problem["errors"]
    assert field["pointer"] == "/flops_budget"
    name, least = smallest
    low, high = SPACES.get(name).bind(least, 2).macs_range()[0], SPACES.get("lite").bind(320, 2).macs_range()[1]
    of = "" if init == "auto" else " of 'lite'"
    assert field["detail"] == (
        f"flops_budget 1,000 is below the smallest network{of} at {pixels} to 320 pixels and 2 classes; "
        f"choose between {low:,} and {high:,} MACs; no resolution fits this budget"
    )
    assert problem["feasible_range"] == {"min_macs": low, "max_macs": high}
    for budget, status in ((low - 1, 422), (low, 200), (high, 200), (high + 1, 422)):
        planned = client.post("/searches?validate_only=true", json=PHOTOS | {"init": init, "flops_budget": budget})
        assert planned.status_code == status
        assert planned.json()["feasible_range"] == problem["feasible_range"]


@pytest.mark.usefixtures("photos")
def test_a_budget_too_small_for_the_pretrained_network_starts_at_random_with_fewer_pixels(client: httpx.Client) -> None:
    """At the 128 pixels of the images, random weights have no network so small either."""
    config = config_of(client, start(client, **PHOTOS | {"flops_budget": "3M"}))
    assert (config["init"], config["resolution"], config["search_space"]) == ("none", 32, None)
    planned = client.post("/searches?validate_only=true", json=PHOTOS | {"flops_budget": "3M"}).json()
    assert (planned["init"], planned["resolution"], planned["search_space"]) == ("none", 32, "mobile-32")
    asked = refused(client, PHOTOS | {"flops_budget": "3M", "init": LITE0})
    assert "; from random weights (init 'none') this budget fits at 17 to 48 pixels" in asked
    sized = refused(client, PHOTOS | {"flops_budget": "3M", "resolution": 128})
    assert "or a resolution at which this budget fits: 17 to 48 pixels" in sized


def refused(client: httpx.Client, body: dict[str, Any]) -> str:
    """The detail of a budget that is not feasible."""
    (field,) = refusal(client.post("/searches", json=body), 422, "budget-infeasible")["errors"]
    assert field["pointer"] == "/flops_budget"
    return str(field["detail"])


def test_a_search_that_was_stored_before_there_was_init_starts_at_random(
    client: httpx.Client, settings: Settings
) -> None:
    search_id = start(client)
    older = config_of(client, search_id)
    del older["init"], older["teacher"], older["train"]["optimizer"], older["supernet"]["optimizer"]
    database = Database(settings.database_url)
    with database.session_scope() as session:
        session.execute(update(Search).where(Search.id == search_id).values(config=older))
    database.close()
    read = SearchConfig.model_validate(config_of(client, search_id))
    assert read == SearchConfig.model_validate(SEARCH | DECIDED)
    assert read.init == "none"


def test_weights_are_deleted_only_when_no_search_will_start_from_them(client: httpx.Client, settings: Settings) -> None:
    state = build_network(ZOO["efficientnet_lite0"].arch, seed=0).state_dict()
    content = save({name: value.contiguous() for name, value in state.items()})
    stated = {"name": "mine", "arch": "efficientnet_lite0"}
    assert client.post("/weights", params=stated, content=content).status_code == 202
    body = {"init": "mine", "flops_budget": "28M"}
    assert "'mine' is ready" in refused_fields(client, SEARCH | body)["/init"]  # it is being checked
    check_weights(settings)
    search_id = start(client, **body)
    assert config_of(client, search_id)["init"] == "mine"
    problem = refusal(client.delete("/weights/mine"), 409, "weights-in-use")
    assert f"search {search_id} starts from weight set 'mine'" in problem["detail"]
    assert client.get("/weights/mine").json()["state"] == "ready"
    assert list(settings.weights_dir.glob("*.weights"))
    assert client.post(f"/searches/{search_id}/cancel").status_code in (200, 202)
    assert client.delete("/weights/mine").status_code == 204
    assert not list(settings.weights_dir.glob("*.weights"))
    assert config_of(client, search_id)["init"] == "mine"  # what it was asked for


@pytest.mark.parametrize("name", ["auto", "none"])
def test_no_weight_set_can_have_a_name_that_means_something_else(client: httpx.Client, name: str) -> None:
    answer = client.post("/weights", params={"name": name}, content=b"weights")
    (field,) = refusal(answer, 422, "invalid-request")["errors"]
    assert (field["source"], field["pointer"]) == ("query", "name")
    assert "choose another name" in field["detail"]


def test_the_description_says_what_init_is_if_nothing_is_asked_for(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    schema = described["paths"]["/searches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert body["properties"]["init"]["default"] == "auto"
    assert "init" not in body["required"]
