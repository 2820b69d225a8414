"""Following a search from its start: it is named at once, and Ctrl-C says that it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest

from store.stores import Stores
from tests.cli.test_commands import as_json, autonl
from tests.servers import wait_for
from tests.store.sample_rows import FILES, claim, result

pytestmark = pytest.mark.usefixtures("service")
SEARCH = (sys.executable, "-m", "cli.main", "search", "-d", "digits", "-b", "400k", "--wait")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_search_is_named_first_and_ctrl_c_says_that_it_goes_on(
    service: httpx.Client, options: tuple[str, ...]
) -> None:
    with subprocess.Popen([*SEARCH, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        wait_for(lambda: 'route="/searches/{search_id}"' in service.get("/metrics").text, "it polls")
        waiting.send_signal(signal.SIGINT)
        texts = waiting.communicate(timeout=20)
    (search,) = service.get("/searches").json()["searches"]
    first, *_, last = texts[1 if options else 0].splitlines()
    search_id = search["id"]
    assert first == f"search {search_id} started"
    assert last == f"the search goes on: autonl watch {search_id} follows it, autonl cancel {search_id} stops it"
    assert (waiting.returncode, search["state"], texts[0 if options else 1]) == (130, "queued", "")


def test_repeats_are_named_first(service: httpx.Client, stores: Stores) -> None:
    command = [*SEARCH, "--repeat", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        wait_for(lambda: len(service.get("/searches").json()["searches"]) == 2, "both are queued")
        for files in (FILES, {}):
            stores.claims.finish(claim(stores), result(), files)
        shown, errors = waiting.communicate(timeout=30)
    repeats = as_json("repeats", shown.split()[1])["searches"]
    assert shown.splitlines()[:2] == [f"search {one['search_id']} started" for one in repeats], errors


def test_watching_a_search_that_has_ended_says_nothing_of_a_start(stores: Stores) -> None:
    search_id = as_json("search", "-d", "digits", "-b", "400k")["id"]
    stores.claims.finish(claim(stores), result(), FILES)
    assert "started" not in autonl("watch", search_id).stdout.splitlines()[0]
