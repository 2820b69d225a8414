"""`autonl device`: measuring, which needs no service, and the devices of a real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autonl_core.device_table.timing import table_machine
from autonl_core.spec.device_table import DeviceTable
from cli.main import app
from tests.autonl_core.device_tables import made_up_table

TABLE = made_up_table("tiny", 8)


def autonl(*arguments: str) -> Result:
    """Run a command, with a terminal wide enough not to wrap tables."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments, catch_exceptions=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "tiny.json").write_text(TABLE.to_text())
    return str(tmp_path / "tiny.json")


@pytest.mark.usefixtures("service")
def test_a_device_is_added_listed_shown_and_deleted(file: str) -> None:
    added = autonl("device", "add", "pixel", file)
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("pixel\n")
    assert f"tiny at 8 pixels, {len(TABLE.blocks_ns)} blocks" in added.stdout
    assert "test processor, 1 thread, onnxruntime 1.32.0" in autonl("device", "list").stdout
    shown = json.loads(autonl("device", "show", "pixel", "--json").stdout)
    assert DeviceTable.model_validate(shown["table"]) == TABLE
    assert autonl("device", "delete", "pixel").exit_code == 0
    gone = autonl("device", "show", "pixel")
    assert (gone.exit_code, "no device 'pixel'; there is none yet" in gone.stderr) == (2, True)


@pytest.mark.usefixtures("service")
def test_a_table_that_does_not_fit_is_refused_by_place(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(TABLE.model_copy(update={"resolution": 9_999}).to_text())
    refused = autonl("device", "add", "pixel", str(tmp_path / "other.json"))
    assert (refused.exit_code, "resolution: is of another resolution" in refused.stderr) == (2, True), refused.stderr


@pytest.mark.usefixtures("service")
def test_a_search_is_started_within_a_latency_on_a_device(file: str) -> None:
    asked = ("search", "-d", "digits", "-b", "400k", "--latency-ms", "0.3", "--device", "pixel", "--json")
    refused = autonl(*asked)
    assert (refused.exit_code, "no device 'pixel'" in refused.stderr) == (2, True)
    autonl("device", "add", "pixel", file)
    constraints = json.loads(autonl(*asked, "--constraint", "params:50k").stdout)["config"]["constraints"]
    assert (constraints["latency_ms"], constraints["device"], constraints["params"]) == (0.3, "pixel", 50_000)
    assert constraints["device_table_sha256"] == TABLE.sha256


@pytest.mark.usefixtures("service")
def test_without_a_device_the_latest_table_of_a_machine_like_this_one_is_taken(tmp_path: Path) -> None:
    machine = table_machine(1)
    for name, of in (
        ("other", machine.model_copy(update={"processor": "another"})),
        ("old", machine),
        ("own", machine),
    ):
        file = tmp_path / f"{name}.json"
        file.write_text(made_up_table("tiny", 8, 1.0 + 0.1 * len(name)).model_copy(update={"machine": of}).to_text())
        autonl("device", "add", name, str(file))
    started = autonl("search", "-d", "digits", "-b", "400k", "--latency-ms", "0.3", "--json")
    assert "latency is limited on the device own, in tiny at 8 pixels" in started.stderr
    config = json.loads(started.stdout)["config"]
    assert config["constraints"]["device"] == "own"
    assert (config["search_space"], config["resolution"], config["init"]) == ("tiny", 8, "none")


@pytest.mark.usefixtures("service")
def test_a_search_that_is_refused_anyway_measures_nothing() -> None:
    refused = autonl("search", "-d", "digits", "-b", "1", "--latency-ms", "0.3")
    assert (refused.exit_code, "flops_budget" in refused.stderr) == (2, True)
    assert "measured" not in refused.stderr
    assert json.loads(autonl("device", "list", "--json").stdout)["devices"] == []


@pytest.mark.long
@pytest.mark.usefixtures("service")
def test_this_machine_is_measured_when_it_is_first_needed() -> None:
    asked = ("search", "-d", "digits", "-b", "400k", "--latency-ms", "0.3", "--json")
    first, second = autonl(*asked), autonl(*asked, "--seed", "1")
    assert "this machine is measured for tiny at 8 pixels, once" in first.stderr
    assert "this machine is measured" not in second.stderr
    devices = [json.loads(one.stdout)["config"]["constraints"]["device"] for one in (first, second)]
    assert devices[0].endswith("-tiny-8")
    assert devices[0] == devices[1]


def measure(out: Path, *options: str) -> tuple[int, str, str]:
    asked = ["device", "measure", "--rounds", "3", "--out", str(out), *options]
    result = CliRunner().invoke(app, asked)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--space", "nowhere", "--resolution", "8"), "search space 'nowhere' is unknown"),
        (("--space", "tiny", "--resolution", "32"), "'tiny' does not serve 32 pixels"),
    ],
)
def test_a_space_that_cannot_be_measured_is_refused(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    code, _, error = measure(tmp_path / "table.json", *options)
    assert code == 2
    assert said in " ".join(error.split())
    assert not (tmp_path / "table.json").exists()


@pytest.mark.long
def test_the_table_is_written_and_its_errors_are_said(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    code, out, error = measure(file, "--space", "tiny", "--resolution", "8")
    assert code == 0
    assert "models, 3 rounds: about" in error
    table = DeviceTable.read(file)
    assert f"{len(table.blocks_ns)} blocks of tiny at 8 pixels" in out
    assert "for 5 networks unknown to the calibration" in out
    code, out, error = measure(file, "--space", "tiny", "--resolution", "8", "--json")
    assert (code, error) == (0, "")
    assert json.loads(out)["sha256"] == DeviceTable.read(file).sha256


def test_a_machine_that_ssh_does_not_reach_is_named(tmp_path: Path) -> None:
    code, _, error = measure(tmp_path / "table.json", "--space", "tiny", "--resolution", "8", "--ssh", "-v")
    assert (code, "'-v' is no name of a machine" in error) == (2, True), error


@pytest.mark.long
@pytest.mark.usefixtures("service")
def test_a_machine_is_measured_and_added_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    code, out, error = measure(file, "--space", "tiny", "--resolution", "8", "--add", "here")
    assert (code, out.splitlines()[-1].endswith("as here")) == (0, True), error
    shown = json.loads(autonl("device", "show", "here", "--json").stdout)
    assert shown["sha256"] == DeviceTable.read(file).sha256
