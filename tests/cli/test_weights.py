"""`autonl weights` against a real API: text, JSON and exit codes."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from autonl_core.nn.network import build_network
from autonl_core.spec.published_net import adapt
from autonl_core.spec.zoo import ZOO
from cli.main import app
from store.settings import Settings
from tests.api.http_service import check_weights

pytestmark = pytest.mark.usefixtures("service")


def autonl(*arguments: str) -> Result:
    """Run a command, with a terminal wide enough not to wrap tables."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["weights", *arguments], catch_exceptions=False)


def as_json(*arguments: str) -> Any:
    result = autonl(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@contextlib.contextmanager
def checking(settings: Settings) -> Iterator[None]:
    """Check weights in the background."""
    stopping = threading.Event()

    def check() -> None:
        while not stopping.wait(0.05):
            check_weights(settings)

    thread = threading.Thread(target=check)
    thread.start()
    yield
    stopping.set()
    thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Tensors of MobileNetV2 with seven classes."""
    network = build_network(adapt(ZOO["mobilenet_v2"].arch, num_classes=7), seed=0)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, tmp_path / "v2.safetensors")
    return tmp_path / "v2.safetensors"


def test_the_built_in_weights_are_listed() -> None:
    listed = autonl("list").stdout
    assert "efficientnet-lite0  built-in  ready    1,000     224  75.1%" in listed
    assert "75.1%" in listed
    assert as_json("list")["weights"][0]["name"] == "efficientnet-lite0"


def test_weights_are_uploaded_checked_shown_and_deleted(settings: Settings, file: Path) -> None:
    stated = ("--arch", "mobilenet_v2", "--source", "a friend", "--licence", "MIT", "--top1", "71.5",
              "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25")  # fmt: skip
    with checking(settings):
        added = autonl("add", "mine", str(file), *stated)
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("mine: ready, uploaded")
    for text in (
        "mobilenet_v2",
        "a friend",
        "MIT",
        "71.5",
        "mean 0.5, 0.5, 0.5, std 0.25, 0.25, 0.25",
        "in224 | cn_k3",
    ):
        assert text in added.stdout
    assert as_json("show", "mine")["num_classes"] == 7
    assert as_json("add", "mine", str(file), *stated)["state"] == "ready"
    assert "mine                uploaded  ready" in autonl("list").stdout
    assert autonl("delete", "mine").exit_code == 0
    gone = autonl("show", "mine")
    assert (gone.exit_code, "no weight set 'mine'" in gone.stderr) == (2, True)


def test_refused_weights_are_reported_with_their_tensors_and_by_the_exit_code(settings: Settings, file: Path) -> None:
    with checking(settings):
        added = autonl("add", "mine", str(file), "--arch", "autonl_s")
    assert added.exit_code == 1
    assert "mine: refused, uploaded" in added.stdout
    assert "does_not_fit" in added.stdout
    assert "--json lists all" in added.stdout
    assert autonl("show", "mine").exit_code == 1


def test_without_waiting_the_command_returns_at_once(file: Path) -> None:
    assert as_json("add", "mine", str(file), "--arch", "mobilenet_v2", "--no-wait")["state"] == "checking"


def test_a_refused_request_names_the_way_out(file: Path, tmp_path: Path) -> None:
    for arguments, reason in (
        (["add", "mine", str(file), "--arch", "resnet50"], "arch: must be 'autonl_s'"),
        (["add", "efficientnet-lite0", str(file)], "is built in; choose another name"),
        (["add", "mine", str(tmp_path)], "is not a file"),
        (["delete", "efficientnet-lite0"], "is built in and cannot be deleted"),
    ):
        refused = autonl(*arguments)
        assert (refused.exit_code, reason in refused.stderr) == (2, True), refused.stderr
