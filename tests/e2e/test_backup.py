"""`autonl backup` of a service that runs a search, and `autonl restore` elsewhere: the search goes on from there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_up import QUICK, REPOSITORY, up
from tests.servers import wait_for

pytestmark = pytest.mark.long

# Long enough to be backed up while it runs.
SEARCH: dict[str, Any] = QUICK | {"train": {"epochs": 60, "warmup_epochs": 1}}


def autonl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["folder", "file.tar"])
def test_a_search_that_ran_goes_on_after_it_was_restored(tmp_path: Path, name: str) -> None:
    backup, old, new = tmp_path / name, tmp_path / "old", tmp_path / "new"
    with up(old) as service:
        link = f"/searches/{service.client.post('/searches', json=SEARCH).json()['id']}"

        def training() -> bool:
            search = service.client.get(link).json()
            return bool(search["phase"] == "training" and (search["progress"]["epoch"] or 0) >= 2)

        wait_for(training, "the chosen network trains", 300)
        taken = autonl("backup", str(backup), "--data-dir", str(old))
        assert taken.returncode == 0, taken.stderr
        assert "missing" not in taken.stderr
        assert service.client.get(link).json()["state"] == "running"  # it was not disturbed
        service.process.kill()

    assert autonl("restore", str(backup), "--data-dir", str(new)).returncode == 0
    refused = autonl("restore", str(backup), "--data-dir", str(new))
    assert (refused.returncode, "nothing is overwritten" in refused.stderr) == (2, True)
    with up(new) as service:
        wait_for(lambda: service.client.get(link).json()["state"] == "succeeded", "the search ends well", 400)
        answer = service.client.get(f"{link}/events", headers={"Accept": "application/json"}).json()
        events = {event["kind"]: event["detail"] for event in answer["events"]}
        assert events["resumed"]["phase"] == "training"
        assert [one["exit_class"] for one in service.client.get(link).json()["attempts"]] == ["lease_lost", "succeeded"]
