"""What the service refuses, in the words of the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from autonl_core.spec.result import FormatParity, ResultFile
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import start
from tests.cli.test_commands import as_json, autonl, checking, shapes
from tests.store import sample_rows as samples

pytestmark = pytest.mark.usefixtures("service")


def test_the_way_out_is_a_command_instead_of_a_request(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert autonl("status", "xyz").stderr.splitlines()[1:] == [
        "  no search 'xyz'; ids may be shortened to 4 characters, `autonl list` lists them"
    ]
    folder = shapes(tmp_path_factory.mktemp("there") / "shapes")
    as_json("dataset", "add", "shapes", str(folder), "--on-server", "--no-wait")
    checked = "dataset 'shapes' is checking: wait until `autonl dataset show shapes` reports it as ready"
    assert checked in autonl("search", "-d", "shapes", "-b", "400k").stderr
    for file in (folder / "dark").iterdir():
        file.write_bytes(b"not an image")
    with checking(settings):
        assert autonl("dataset", "add", "shapes", str(folder), "--on-server").exit_code == 1
    invalid = "dataset 'shapes' is invalid: `autonl dataset show shapes` reports what is wrong with it"
    assert invalid in autonl("search", "-d", "shapes", "-b", "400k").stderr


def test_a_missing_field_is_named_by_its_option() -> None:
    lines = autonl("search").stderr.splitlines()[1:]
    assert lines == ["  -d/--dataset is required", "  -b/--budget is required"]


def test_a_budget_out_of_range_names_its_field_once() -> None:
    for options, field in ((("-b", "1k"), "flops_budget"), (("-b", "400k", "-b", "1k"), "flops_budgets/1")):
        (line,) = autonl("search", "-d", "digits", *options).stderr.splitlines()[1:]
        assert line.startswith(f"  {field}: 1,000 is below the smallest network of")


def test_a_withheld_format_is_said_to_be_withheld(service: httpx.Client, stores: Stores) -> None:
    search_id = start(service)
    withheld = FormatParity(300, 83.6, 9.5, 55, 1_000, "3" * 64, withheld="it loses 14.4 points, more than 2.0")
    files = {"safetensors": ResultFile(Path("model.safetensors"), "0" * 64, 10)}
    result = replace(samples.result(), parity={"onnx-int8": withheld}, files=files)
    stores.claims.finish(samples.claim(stores), result, {"safetensors": samples.CHECKPOINT})
    refused = autonl("download", search_id, "-f", "onnx-int8")
    said = f"onnx-int8 of search {search_id} is withheld: it loses 14.4 points, more than 2.0\n"
    assert (refused.exit_code, refused.stderr) == (2, said)


def test_a_search_that_stopped_early_names_the_command_for_its_best_network(
    service: httpx.Client, stores: Stores
) -> None:
    search_id = start(service)
    lease = samples.claim(stores)
    stores.updates.checkpoint(lease, samples.architecture(), samples.CHECKPOINT)
    stores.control.pause(search_id)
    stores.claims.gave_back(lease)
    best = f"`autonl download {search_id} -f safetensors` gives its best network"
    paused = autonl("download", search_id, "-f", "bundle").stderr
    assert paused == f"a paused search has no bundle; {best}; resume it to get the others\n"
    stores.control.cancel(search_id)
    cancelled = autonl("download", search_id, "-f", "bundle").stderr
    assert cancelled == f"a cancelled search has no bundle; {best}\n"
