"""Keys over HTTP: how they are sent, refused and revoked, and how the page signs in with one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from api.access import COOKIE, KNOWN_S, keys_required
from api.app import create_app
from store.keys import Scope
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import refusal, serving
from tests.api.tenants import new_key, signed_in
from tests.servers import wait_for


@pytest.fixture
def locked(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings.model_copy(update={"require_keys": True})) as client:
        yield client


def test_on_loopback_no_key_is_needed_and_one_that_is_sent_counts(client: httpx.Client, stores: Stores) -> None:
    own = client.get("/session").json()
    assert own == {"tenant": "default", "key": None, "scopes": sorted(Scope), "key_required": False}
    with signed_in(client, new_key(stores, "ants", [Scope.READ])) as ants:
        assert ants.get("/session").json() == own | {"tenant": "ants", "key": "a key", "scopes": ["read"]}
        refusal(ants.post("/keys", json={"name": "x"}), 403, "forbidden")
    with signed_in(client, "autonl_000000000000_" + "0" * 64) as no_one:
        refusal(no_one.get("/searches"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("server", "required"),
    [(("127.0.0.1", 80), False), (("::1", 80), False), (("10.0.0.7", 80), True), (("0.0.0.0", 80), True), (None, True)],  # noqa: S104
)
def test_a_request_that_reached_another_address_needs_a_key(server: tuple[str, int] | None, required: bool) -> None:
    app = create_app(Settings())
    assert keys_required(Request({"type": "http", "app": app, "server": server})) == required


def test_a_revoked_key_is_refused_within_a_second(locked: httpx.Client, stores: Stores) -> None:
    key, token = stores.keys.create("default", "k", [Scope.READ])
    with signed_in(locked, token) as client:
        assert client.get("/searches").status_code == 200
        stores.keys.revoke(key.id)  # by another process
        wait_for(lambda: client.get("/searches").status_code == 401, "it is refused", timeout_s=KNOWN_S + 1)
        assert stores.keys.all()[0].last_used_at is not None


def test_keys_of_a_tenant_are_made_and_revoked_by_its_admins(locked: httpx.Client, stores: Stores) -> None:
    with signed_in(locked, new_key(stores, "ants", [Scope.ADMIN])) as admin:
        made = admin.post("/keys", json={"name": "ci", "scopes": ["read"], "expires_in_days": 7}).json()
        assert made["expires_at"] is not None
        assert made["key"] not in admin.get("/keys").text
        with signed_in(locked, made["key"]) as client:
            assert client.get("/searches").json()["searches"] == []
            admin.delete(f"/keys/{made['id']}").raise_for_status()
            refusal(client.get("/searches"), 401, "unauthorized")  # at once, in this process
        refusal(admin.post("/keys", json={"name": "x", "scopes": ["root"]}), 422, "invalid-request")


def test_the_page_signs_in_with_a_cookie_that_holds_no_key(locked: httpx.Client, stores: Stores) -> None:
    token = new_key(stores, "ants", [Scope.READ])
    refusal(locked.post("/session", json={"key": "wrong"}), 401, "unauthorized")
    answer = locked.post("/session", json={"key": token}, headers={"X-Forwarded-Proto": "https"})
    assert answer.status_code == 201
    cookie = answer.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Secure"))
    assert token.split("_")[2] not in cookie
    session = {"Cookie": f"{COOKIE}={cookie.split(';')[0].partition('=')[2]}"}
    locked.cookies.clear()
    assert locked.get("/session", headers=session).json()["tenant"] == "ants"
    refusal(locked.post("/keys", json={"name": "x"}, headers=session), 403, "forbidden")
    foreign = session | {"Sec-Fetch-Site": "cross-site"}
    refusal(locked.post("/searches", json={}, headers=foreign), 403, "cross-site-request")
    assert locked.delete("/session", headers=session).status_code == 204
    refusal(locked.get("/session", headers=session), 401, "unauthorized")


def test_folders_of_the_host_are_for_the_default_tenant(locked: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    with signed_in(locked, new_key(stores, "ants")) as ants:
        answer = ants.post("/datasets", json={"name": "x", "path": str(tmp_path)})
        assert "'default'" in refusal(answer, 422, "invalid-request")["detail"]
        assert str(tmp_path) not in answer.text


def test_no_other_address_is_served_without_a_key(settings: Settings) -> None:
    command = [sys.executable, "-P", "-m", "api", "--host", "192.0.2.1", "--port", "0"]
    done = subprocess.run(
        command,
        env=settings.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=settings.data_dir,
    )
    assert done.returncode == 1
    assert "no key exists" in done.stderr
    assert "AUTONL_REQUIRE_KEYS=true" in done.stderr
