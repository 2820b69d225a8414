"""`autonl webhooks` against a real API and a sender: text, JSON and exit codes."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import app
from store.settings import Settings
from store.stores import Stores
from tests.servers import free_port, wait_for
from tests.store.sample_rows import queue_search
from tests.worker.webhooks.receiver import Receiver, receiving
from worker.webhooks.call import Caller
from worker.webhooks.sender import Sender

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_loopback": True, "webhook_poll_s": 0.05})


@pytest.fixture
def receiver(stores: Stores) -> Iterator[Receiver]:
    """A receiver, and a sender that calls it."""
    stopping = threading.Event()
    caller = Caller(lambda *_: ["127.0.0.1"], ssl.create_default_context(), loopback=True)
    with receiving(tls=False) as opened, contextlib.closing(Sender(stores, caller)) as sender:
        thread = threading.Thread(target=sender.run, args=(stopping,))
        thread.start()
        yield opened
        stopping.set()
        thread.join()


def autonl(*arguments: str) -> Result:
    """Run a command, with a terminal wide enough not to wrap tables."""
    return CliRunner(env={"COLUMNS": "250"}).invoke(app, ["webhooks", *arguments], catch_exceptions=False)


def as_json(*arguments: str) -> Any:
    result = autonl(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_webhook_is_added_tested_shown_paused_and_deleted(receiver: Receiver) -> None:
    url = f"http://localhost:{receiver.port}/in"
    added = autonl("add", url, "--kind", "succeeded", "--description", "a bot")
    assert added.exit_code == 0, added.output
    assert "secret, not shown again" in added.stdout
    assert added.stdout.splitlines()[-1].startswith("whsec_")
    (hook,) = as_json("list")["webhooks"]
    tested = autonl("test", hook["id"])
    assert (tested.exit_code, "delivered, status 204" in tested.stdout) == (0, True), tested.output
    shown = autonl("show", hook["id"]).stdout
    assert "a bot" in shown
    assert "whsec_" not in shown
    assert f"{hook['id']}  active" in autonl("list").stdout
    assert "paused" in autonl("pause", hook["id"]).stdout
    assert "active" in autonl("resume", hook["id"]).stdout
    assert autonl("rotate", hook["id"]).stdout.splitlines()[-1].startswith("whsec_")
    assert autonl("delete", hook["id"]).exit_code == 0
    gone = autonl("show", hook["id"])
    assert (gone.exit_code, "`autonl webhooks list`" in gone.stderr) == (2, True), gone.stderr


def test_what_was_sent_is_listed_and_sent_again(receiver: Receiver, stores: Stores) -> None:
    hook = as_json("add", f"http://localhost:{receiver.port}/")
    search_id = queue_search(stores)
    stores.control.cancel(search_id)
    wait_for(lambda: as_json("deliveries", hook["id"], "--state", "delivered")["deliveries"], "it is sent")
    listed = autonl("deliveries", hook["id"]).stdout
    assert search_id in listed
    assert "cancelled" in listed
    (delivery,) = as_json("deliveries", hook["id"])["deliveries"]
    assert autonl("resend", hook["id"], delivery["id"]).exit_code == 0
    assert [each.message_id for each in receiver.received] == [delivery["id"]] * 2
    assert as_json("deliveries", hook["id"], "--state", "failed") == {"deliveries": [], "next_before": None}


@pytest.mark.usefixtures("receiver")
def test_a_failed_call_is_shown_with_its_reason_and_by_the_exit_code() -> None:
    hook = as_json("add", f"http://localhost:{free_port()}/")
    tested = autonl("test", hook["id"])
    assert tested.exit_code == 1
    assert "failed" in tested.stdout
    assert "Connection refused" in tested.stdout


def test_a_refused_request_names_the_way_out() -> None:
    for arguments, reason in (
        (["add", "http://hooks.example/"], "url: must begin with https://"),
        (["add", "https://127.0.0.1/", "--kind", "ended"], "kinds/0: must be 'created'"),
        (["test", "nothing"], "no webhook 'nothing'; `autonl webhooks list`"),
        (["deliveries", "nothing"], "no webhook 'nothing'"),
    ):
        refused = autonl(*arguments)
        assert (refused.exit_code, reason in refused.stderr) == (2, True), refused.stderr
