"""`/webhooks`: what a client sees and may change. Calls are made by a sender, here one in this process."""

from __future__ import annotations

import contextlib
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from store.settings import Settings
from store.stores import Stores
from store.webhooks.registry import MAX_WEBHOOKS
from tests.api.http_service import refusal, run_to_success, serving, start
from tests.servers import free_port
from tests.store.webhooks.test_urls import PRIVATE_V4, notations
from tests.worker.webhooks.connections import watching_connections
from tests.worker.webhooks.receiver import answer, receiving
from worker.webhooks.call import Caller
from worker.webhooks.sender import Sender

URL = "https://hooks.example/autonl"


def add(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """A new webhook, with its secret."""
    response = client.post("/webhooks", json={"url": URL} | fields)
    assert response.status_code == 201, response.text
    added: dict[str, Any] = response.json()
    assert response.headers["Location"] == f"/webhooks/{added['id']}"
    return added


def send_all(stores: Stores) -> None:
    """Do what a sender does until nothing is due."""
    caller = Caller(lambda *_: ["127.0.0.1"], ssl.create_default_context(), loopback=True)
    busy = True
    while busy:
        with contextlib.closing(Sender(stores, caller)) as sender:  # waits for the calls
            busy = sender.tick()


def test_a_webhook_is_added_shown_changed_and_deleted(client: httpx.Client) -> None:
    added = add(client, description="a bot")
    secret = added.pop("secret")
    assert secret.startswith("whsec_")
    assert added["kinds"] == ["cancelled", "failed", "succeeded"]
    assert (added["state"], added["waiting"], added["description"]) == ("active", 0, "a bot")
    path = f"/webhooks/{added['id']}"
    assert client.get(path).json() == added
    assert client.get("/webhooks").json() == {"webhooks": [added]}
    changed = client.patch(path, json={"kinds": ["claimed", "phase"], "active": False, "description": ""}).json()
    assert changed == added | {"kinds": ["claimed", "phase"], "state": "paused", "description": ""}
    assert client.patch(path, json={"active": True}).json()["state"] == "active"
    rotated = client.post(f"{path}/rotate").json()
    assert rotated["secret"] != secret
    for response in (client.get(path), client.get("/webhooks"), client.patch(path, json={"active": True})):
        assert "whsec_" not in response.text
    assert client.delete(path).status_code == 204
    refusal(client.get(path), 404, "not-found")


def test_events_are_sent_signed_and_logged(settings: Settings, stores: Stores, tmp_path: Path) -> None:
    with receiving(tls=False) as receiver, serving(settings.model_copy(update={"webhook_loopback": True})) as client:
        receiver.behaviour = answer(200, b"ok")
        hook = add(client, url=f"http://localhost:{receiver.port}/in")
        search_id = start(client)
        run_to_success(stores, tmp_path)
        send_all(stores)
        (request,) = receiver.received
        message = Webhook(hook["secret"]).verify(request.body, request.headers)
        assert (message["type"], message["data"]["search_id"]) == ("search.succeeded", search_id)
        assert client.get(message["data"]["links"]["search"]).json()["state"] == message["data"]["state"]
        listing = client.get(f"/webhooks/{hook['id']}/deliveries").json()
        (delivery,) = listing["deliveries"]
        assert listing["next_before"] is None
        expected = {"id": message["id"], "kind": "succeeded", "search_id": search_id, "seq": 3, "state": "delivered"}
        expected |= {"tries": 1, "status": 200, "problem": None, "excerpt": "ok", "next_try_at": None}
        assert delivery == delivery | expected
        assert 0 < delivery["duration_s"] < 10
        resent = client.post(f"/webhooks/{hook['id']}/deliveries/{delivery['id']}/resend")
        assert (resent.status_code, resent.json()["state"]) == (202, "pending")
        send_all(stores)
        assert [each.message_id for each in receiver.received] == [message["id"]] * 2


def test_a_test_call_is_accepted_and_its_result_is_polled(settings: Settings, stores: Stores) -> None:
    with serving(settings.model_copy(update={"webhook_loopback": True})) as client:
        hook = add(client, url=f"http://localhost:{free_port()}/")
        accepted = client.post(f"/webhooks/{hook['id']}/test")
        assert (accepted.status_code, accepted.json()["kind"], accepted.headers["Retry-After"]) == (
            202,
            "webhook.test",
            "1",
        )
        send_all(stores)
        result = client.get(accepted.headers["Location"]).json()
        assert (result["state"], result["status"], result["excerpt"]) == ("failed", None, "")
        assert "Connection refused" in result["problem"]


def test_deliveries_are_read_in_pages(client: httpx.Client, stores: Stores) -> None:
    hook = add(client, kinds=["created"])
    searches = [start(client) for _ in range(5)]
    stores.webhook_feed.read()
    path, found, before = f"/webhooks/{hook['id']}/deliveries", [], None
    while True:
        page = client.get(path, params={"page_size": 2, **({"before": before} if before else {})}).json()
        found += [each["search_id"] for each in page["deliveries"]]
        before = page["next_before"]
        if before is None:
            break
    assert sorted(found) == sorted(searches)
    assert client.get(path, params={"state": "delivered"}).json()["deliveries"] == []
    refusal(client.get(path, params={"before": "msg_0"}), 404, "not-found")
    refusal(client.get(path, params={"state": "lost"}), 422, "invalid-request")


def test_a_url_is_refused_with_the_reason_and_without_asking_a_name_server(client: httpx.Client) -> None:
    hosts = [*PRIVATE_V4, *notations("169.254.169.254"), "localhost", "[::1]", "[::ffff:10.0.0.1]", "a@hooks.example"]
    with watching_connections() as seen:
        for url in ["http://hooks.example/", "https://münchen.example/", *(f"https://{host}/" for host in hosts)]:
            problem = refusal(client.post("/webhooks", json={"url": url}), 422, "invalid-request")
            (error,) = problem["errors"]
            assert (error["pointer"], error["code"]) == ("/url", "bad_url")
        hook = add(client)
        refusal(client.patch(f"/webhooks/{hook['id']}", json={"url": "https://127.1/"}), 422, "invalid-request")
        assert not [name for name in seen.names if name != "127.0.0.1"]  # of the client of this test
    assert client.get(f"/webhooks/{hook['id']}").json()["url"] == URL


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": URL, "kinds": []}, "/kinds"),
        ({"url": URL, "kinds": ["ended"]}, "/kinds/0"),
        ({"url": URL, "secret": "whsec_mine"}, "/secret"),
        ({"url": URL, "description": "x" * 501}, "/description"),
        ({"url": "https://hooks.example/" + "a" * 2000}, "/url"),
    ],
)
def test_a_wrong_body_is_refused_by_field(client: httpx.Client, body: dict[str, Any], pointer: str) -> None:
    problem = refusal(client.post("/webhooks", json=body), 422, "invalid-request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_a_change_names_something_and_states_are_not_written(client: httpx.Client) -> None:
    path = f"/webhooks/{add(client)['id']}"
    refusal(client.patch(path, json={}), 422, "invalid-request")
    refusal(client.patch(path, json={"state": "paused"}), 422, "invalid-request")
    refusal(client.patch(path, json={"active": "yes"}), 422, "invalid-request")
    refusal(client.patch("/webhooks/nothing", json={"active": True}), 404, "not-found")


def test_the_number_of_webhooks_is_limited(client: httpx.Client, stores: Stores) -> None:
    for number in range(MAX_WEBHOOKS):
        stores.webhooks.add(f"{URL}/{number}", ["failed"], "")
    problem = refusal(client.post("/webhooks", json={"url": URL}), 409, "too-many-webhooks")
    assert problem["detail"] == "there are 100 webhooks, and at most 100 are possible; delete one"


def test_what_a_receiver_answers_is_stored_cut_and_without_what_no_database_holds(
    settings: Settings, stores: Stores
) -> None:
    with receiving(tls=False) as receiver, serving(settings.model_copy(update={"webhook_loopback": True})) as client:
        receiver.behaviour = answer(500, b"\x00<b>\xff" + b"x" * 5000)
        hook = add(client, url=f"http://localhost:{receiver.port}/")
        client.post(f"/webhooks/{hook['id']}/test")
        send_all(stores)
        (delivery,) = client.get(f"/webhooks/{hook['id']}/deliveries").json()["deliveries"]
        assert delivery["excerpt"] == "<b>\ufffd" + "x" * 496
        assert json.dumps(delivery)
