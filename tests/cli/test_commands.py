"""The client commands against a real API: text output, JSON output and exit codes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from rich.console import Console

from autonl import retries
from autonl_core.spec.progress import Progress
from cli.client import Client
from cli.errors import CommandError
from cli.live import follow_search
from cli.main import app
from store.logs import log_path
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import CONTENT, check_datasets, run_to_success, serving, start
from tests.api.reverse_proxy import proxied
from tests.servers import free_port, wait_for
from tests.store import sample_rows as samples

pytestmark = pytest.mark.usefixtures("service")


def autonl(*arguments: str) -> Result:
    """Run a command, with a terminal wide enough not to wrap tables."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments), catch_exceptions=False)


def as_json(*arguments: str) -> Any:
    result = autonl(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_search_is_started_listed_and_shown(service: httpx.Client) -> None:
    started = autonl("search", "--dataset", "digits", "--budget", "400k", "--seed", "5")
    assert started.exit_code == 0
    (search,) = service.get("/searches").json()["searches"]
    start = "random weights"
    assert f"is queued, from {start}; follow it with: autonl watch {search['id']}" in started.stdout
    assert search["id"] in autonl("list").stdout
    shown = autonl("status", search["id"])
    assert (shown.exit_code, "400,000 MACs" in shown.stdout) == (0, True)
    assert as_json("status", search["id"])["config"]["seed"] == 5
    assert as_json("list", "--state", "running")["searches"] == []


def test_a_search_is_read_from_a_file_and_options_override_it(service: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("dataset: digits\nflops_budget: 400k\nseed: 1\nsupernet: {epochs: 3}\n")
    search = as_json("search", "--config", str(file), "--seed", "2", "--resource-class", "gpu")
    assert search["config"]["resource_class"] == "gpu"
    assert (search["config"]["seed"], search["config"]["supernet"]["epochs"]) == (2, 3)
    file.write_text("- not\n- a search\n")
    assert autonl("search", "--config", str(file)).exit_code == 2


@pytest.mark.usefixtures("service")
def test_formats_are_asked_for_one_by_one_instead_of_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("{dataset: digits, flops_budget: 400k, export: {formats: [pt2], int8_max_drop_points: 1}}")
    search = as_json("search", "--config", str(file), "--format", "onnx-uint8", "--format", "torchscript")
    assert search["config"]["export"] == {"formats": ["onnx-uint8", "torchscript"], "int8_max_drop_points": 1}
    unknown = autonl("search", "-d", "digits", "-b", "400k", "--format", "tensorrt")
    assert unknown.exit_code == 2
    assert "executorch-int8" in unknown.stderr


def test_a_refused_request_lists_one_problem_per_line_and_exits_with_code_2() -> None:
    refused = autonl("search", "-d", "nope", "-b", "lots", "--resolution", "4")
    assert refused.exit_code == 2
    title, *lines = refused.stderr.splitlines()
    assert title == "The request has invalid fields"
    assert {line.split(":")[0].strip() for line in lines} == {"dataset", "flops_budget", "resolution"}
    infeasible = autonl("search", "-d", "digits", "-b", "1k")
    assert "choose between" in infeasible.stderr


def test_without_a_service_the_error_names_the_way_out() -> None:
    for command in (["list"], ["dataset", "list"], ["status", "x"], ["download", "x"]):
        result = autonl(*command, "--url", f"http://127.0.0.1:{free_port()}")
        assert (result.exit_code, "autonl up" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("variable", "before", "after", "asked"),
    [
        ("a", None, None, "a"),
        ("a", "b", None, "b"),
        ("a", None, "c", "c"),
        ("a", "b", "c", "c"),
        (None, None, None, "8000"),
    ],
)
@pytest.mark.parametrize("command", [("list",), ("dataset", "list")])
def test_the_service_is_named_after_a_command_before_it_or_in_the_environment(
    variable: str | None, before: str | None, after: str | None, asked: str, command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The nearest counts. No host of these names exists, so the error says which was asked."""
    said = {"8000": "http://127.0.0.1:8000"} | {name: f"http://{name}.invalid" for name in "abc"}
    monkeypatch.setattr(Client, "__init__", refuse)
    if variable is None:
        monkeypatch.delenv("AUTONL_URL")
    else:
        monkeypatch.setenv("AUTONL_URL", said[variable])
    given = [(*(("--url", said[name]) if name else ()),) for name in (before, after)]
    result = autonl(*given[0], *command, *given[1])
    assert (result.exit_code, result.stderr.strip()) == (2, f"asked {said[asked]}")


def refuse(_: Client, url: str) -> None:
    raise CommandError(f"asked {url}")


def test_a_service_that_is_to_be_started_has_no_url_yet() -> None:
    result = autonl("--url", "http://127.0.0.1:9", "up")
    assert (result.exit_code, "--host and --port" in result.stderr) == (2, True)


def test_watch_prints_plain_lines_and_the_result(service: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = start(service)
    results: list[Result] = []
    watching = threading.Thread(target=lambda: results.append(autonl("watch", search_id)))
    watching.start()
    run_to_success(stores, tmp_path)
    watching.join(20)
    (result,) = results
    assert result.exit_code == 0
    assert "succeeded" in result.stdout
    assert "98.00% (352 of 359 images)" in result.stdout
    assert result.stdout.count(samples.architecture().arch_string) == 1
    assert "\x1b[" not in result.stdout  # no terminal, so no colours


def test_in_a_terminal_watch_shows_phase_bar_budget_and_accuracy(
    service: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(service)
    lease = samples.claim(stores)
    stores.updates.progress(lease, Progress("searching", 0.25, epoch=2, epochs=8, eta_s=33.0))
    stores.updates.architecture(lease, samples.architecture(val_top1_pct=61.25))
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120, legacy_windows=False)
    screen = terminal.file
    assert isinstance(screen, io.StringIO)
    with Client(str(service.base_url)) as client:
        watching = threading.Thread(target=lambda: follow_search(client, search_id, terminal))
        watching.start()
        wait_for(lambda: "about 30 to 35 s left" in screen.getvalue(), "the display shows the search")
        stores.claims.fail(lease, "DatasetError", "over")
        watching.join(20)
    shown = screen.getvalue()
    for text in ("searching, epoch 2/8", " 25%", "of 400k", "61.2% of about 144 validation images right", "failed"):
        assert text in shown


def test_for_a_failed_search_watch_and_status_print_the_reason_and_exit_with_code_1(
    service: httpx.Client, stores: Stores
) -> None:
    search_id = start(service)
    stores.claims.fail(samples.claim(stores), "DatasetError", "too few images in class 'a'")
    for command in ("watch", "status"):
        result = autonl(command, search_id)
        assert (result.exit_code, "too few images in class 'a'" in result.stdout) == (1, True)
    assert autonl("watch", search_id, "--json").exit_code == 1
    assert autonl("download", search_id).exit_code == 2


def test_status_shows_the_progress_of_a_running_search(service: httpx.Client, stores: Stores) -> None:
    search_id = start(service)
    lease = samples.claim(stores, owner="box:7")
    stores.updates.progress(lease, Progress("training", 0.5, epoch=3, epochs=6, eta_low_s=700.0, eta_high_s=880.0))
    stores.updates.architecture(lease, samples.architecture(val_top1_pct=91.5))
    shown = autonl("status", search_id).stdout
    for text in (
        "training, 50% done",
        "about 11 to 15 min left",
        "91.5% of about 144 validation images right",
        "box:7",
        "MBConv",
    ):
        assert text in shown


def test_status_and_list_show_the_place_of_a_queued_search(service: httpx.Client, stores: Stores) -> None:
    first, second = start(service), start(service)
    assert "number 1 in the queue; starts as soon as a worker is free" in autonl("status", first).stdout
    assert "number 2 in the queue; waits for 1 search; no estimate yet" in autonl("status", second).stdout
    samples.claim(stores)
    moved_up = "number 1 in the queue; waits for 1 search; no estimate yet"  # places are up to a second old
    wait_for(lambda: moved_up in autonl("status", second).stdout, "its place is shown")
    listed = autonl("list").stdout.splitlines()
    assert [line.split()[:4] for line in listed if second in line] == [[second, "queued,", "number", "1"]]
    assert [line.split()[:2] for line in listed if first in line] == [[first, "running"]]


def test_cancel_stops_a_search_and_is_refused_once_it_has_ended(
    service: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    search_id = start(service)
    assert "cancelled" in autonl("cancel", search_id).stdout
    done = start(service)
    run_to_success(stores, tmp_path)
    late = autonl("cancel", done)
    assert (late.exit_code, "is succeeded" in late.stderr) == (2, True)


def test_a_search_is_paused_and_resumed(service: httpx.Client) -> None:
    search_id = start(service)
    assert (
        f"nothing is saved yet, `autonl resume {search_id}` begins from the start" in autonl("pause", search_id).stdout
    )
    watched = autonl("watch", search_id)  # it returns instead of waiting for a resume
    assert (watched.exit_code, "paused" in watched.stdout) == (1, True)
    assert "is queued" in autonl("resume", search_id).stdout
    log = autonl("events", search_id).stdout
    assert [kind for kind in ("created", "paused", "resume_requested") if kind not in log] == []
    assert [
        event["kind"] for event in json.loads(autonl("events", search_id, "--after", "2", "--json").stdout)["events"]
    ] == ["resume_requested"]


def test_logs_show_the_end_of_what_every_attempt_printed(
    service: httpx.Client, stores: Stores, settings: Settings, tmp_path: Path
) -> None:
    search_id = start(service)
    waiting = autonl("logs", search_id)
    assert (waiting.exit_code, waiting.stdout, "no worker has begun" in waiting.stderr) == (0, "", True)
    run_to_success(stores, tmp_path)
    silent = autonl("logs", search_id)
    assert (silent.stdout, f"autonl events {search_id}" in silent.stderr) == ("", True)
    log = log_path(settings, search_id, 1)
    log.parent.mkdir(parents=True)
    log.write_text("one\n[bold]two[/bold]\nthree\n")
    assert autonl("logs", search_id, "--tail", "2").stdout == "[bold]two[/bold]\nthree\n"
    assert as_json("logs", search_id)["logs"] == [{"attempt": 1, "lines": ["one", "[bold]two[/bold]", "three"]}]
    assert "no attempt 2" in autonl("logs", search_id, "--attempt", "2").stderr


def test_a_search_is_deleted_once_it_has_ended(service: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = start(service)
    early = autonl("delete", search_id)
    assert (early.exit_code, "is queued" in early.stderr) == (2, True)
    run_to_success(stores, tmp_path)
    assert autonl("delete", search_id).stdout == f"search {search_id} deleted\n"
    assert service.get(f"/searches/{search_id}").status_code == 404
    assert autonl("delete", search_id).exit_code == 2


def test_every_command_works_below_the_prefix_of_a_proxy(
    service: httpx.Client, settings: Settings, stores: Stores, tmp_path: Path
) -> None:
    with proxied(service, prefix="/nets", compresses=True, version=10) as outside:
        url = ("--url", str(outside.base_url))
        with checking(settings):
            assert autonl("dataset", "add", "shapes", str(shapes(tmp_path / "shapes")), *url).exit_code == 0
        assert autonl("search", "-d", "digits", "-b", "400k", *url).exit_code == 0
        (search,) = service.get("/searches").json()["searches"]
        run_to_success(stores, tmp_path)
        for command in ("status", "watch", "events", "logs", "trade-off", "architecture-history", "repeats"):
            assert autonl(command, search["id"], *url).exit_code == 0, command
        target = tmp_path / "model.safetensors"
        downloaded = autonl("download", search["id"], "-o", str(target), *url)
        assert (downloaded.exit_code, target.read_bytes()) == (0, CONTENT), downloaded.output
        assert autonl("delete", search["id"], *url).exit_code == 0


def test_a_download_is_complete_and_verified_or_absent(
    service: httpx.Client, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.01)
    search_id = start(service)
    early = autonl("download", search_id, "-o", str(tmp_path / "early"))
    assert (early.exit_code, "has no checkpoint" in early.stderr) == (2, True)
    run_to_success(stores, tmp_path)
    target = tmp_path / "new folder" / "model.safetensors"
    downloaded = as_json("download", search_id, "--output", str(target))
    assert target.read_bytes() == CONTENT
    assert downloaded == {
        "path": str(target),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "size_bytes": len(CONTENT),
    }

    (stored,) = (tmp_path / "data" / "artifacts").rglob("*.safetensors")
    stored.write_bytes(CONTENT[::-1])  # silent corruption on the disk
    damaged = autonl("download", search_id, "-o", str(tmp_path / "damaged"))
    assert (damaged.exit_code, "The download is corrupted" in damaged.stderr) == (2, True)
    assert not list(tmp_path.glob("*damaged*"))
    stored.write_bytes(CONTENT[:-1])  # shorter than announced: the connection closes early
    assert autonl("download", search_id, "-o", str(tmp_path / "damaged")).exit_code == 2
    assert not (tmp_path / "damaged").exists()


@contextlib.contextmanager
def checking(settings: Settings) -> Iterator[None]:
    """Check datasets in the background."""
    stopping = threading.Event()

    def check() -> None:
        while not stopping.wait(0.05):
            check_datasets(settings)

    thread = threading.Thread(target=check)
    thread.start()
    yield
    stopping.set()
    thread.join()


def shapes(folder: Path) -> Path:
    """A dataset of two classes with four distinct images each, and a hidden file."""
    for shade, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (9, 9), 100 * shade + 20 * number).save(folder / name / f"{number}.png")
    (folder / ".hidden").write_text("not to be uploaded")
    return folder


def test_a_folder_is_packed_uploaded_checked_and_deleted(
    service: httpx.Client, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes(tmp_path / "here" / "shapes")
    monkeypatch.chdir(tmp_path / "here")
    with checking(settings):
        added = autonl("dataset", "add", "shapes", "shapes")
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("shapes: ready, 6 training and 2 test images in 2 classes, 9 pixels")
    assert "few_images" in added.stdout
    (archive,) = settings.datasets_dir.glob("*.zip")
    assert zipfile.ZipFile(archive).namelist() == [f"{c}/{n}.png" for c in ("dark", "light") for n in range(4)]
    assert as_json("dataset", "show", "shapes")["state"] == "ready"
    assert (
        as_json("dataset", "add", "forms", str(archive))["state"] == "ready"
    )  # the same content needs no second check
    assert [entry["name"] for entry in as_json("dataset", "list")["datasets"]] == ["digits", "forms", "shapes"]
    assert "ready" in autonl("dataset", "list").stdout
    for name in ("forms", "shapes"):
        assert autonl("dataset", "delete", name).exit_code == 0
    assert not archive.exists()
    gone = autonl("dataset", "show", "shapes")
    assert (gone.exit_code, "no dataset 'shapes'" in gone.stderr) == (2, True)


def test_an_unusable_dataset_is_reported_with_its_files_and_by_the_exit_code(
    service: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    folder = shapes(tmp_path / "here" / "shapes")
    for file in (folder / "dark").iterdir():
        file.write_bytes(b"not an image")
    with checking(settings):
        added = autonl("dataset", "add", "shapes", str(folder))
    assert added.exit_code == 1
    assert "shapes: invalid" in added.stdout
    for word in ("error   class_too_small (1)", "warning unreadable_images (4)", "dark/0.png"):
        assert word in added.stdout
    assert autonl("dataset", "show", "shapes").exit_code == 1


def test_a_dataset_on_the_service_s_disk_is_registered_in_place(
    service: httpx.Client, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = shapes(tmp_path_factory.mktemp("there") / "shapes")  # not among the data of the service
    waiting = as_json("dataset", "add", "shapes", str(folder), "--on-server", "--no-wait")
    assert (waiting["state"], waiting["kind"]) == ("checking", "folder")
    with checking(settings):
        assert autonl("dataset", "add", "shapes", str(folder), "--on-server").exit_code == 0
    assert not list(settings.datasets_dir.glob("*.zip"))


def test_a_place_in_a_bucket_is_for_the_service_to_read(service: httpx.Client, settings: Settings) -> None:
    refused = autonl("dataset", "add", "pets", "s3://photos/pets")
    assert refused.exit_code == 2
    assert "AUTONL_DATASET_BUCKETS" in refused.stderr
    assert "no place in a bucket" in autonl("dataset", "add", "pets", "s3://photos//pets").stderr  # as it was written


def test_a_missing_or_empty_path_is_refused_with_the_way_out(service: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, hint in (("no-such-folder", "--on-server"), (str(tmp_path / "empty"), "contains no files")):
        refused = autonl("dataset", "add", "none", path)
        assert (refused.exit_code, path in refused.stderr, hint in refused.stderr) == (2, True, True)


def test_a_bad_name_is_refused_by_its_rule_before_anything_is_packed(tmp_path: Path) -> None:
    """Without a service: none is asked."""
    (tmp_path / "weights.pt").write_bytes(b"weights")
    for kind, path in (("dataset", tmp_path), ("weights", tmp_path / "weights.pt")):
        refused = autonl(kind, "add", "my photos", str(path), "--url", "http://127.0.0.1:9")
        assert refused.exit_code == 2
        assert "'my photos' cannot be the name of a dataset or weight set" in refused.stderr
        assert "no spaces, and no accents" in refused.stderr


def test_watch_survives_a_restart_of_the_service(settings: Settings) -> None:
    results: list[Result] = []
    with serving(settings) as client:
        search_id, url, port = start(client), str(client.base_url), client.base_url.port
        assert port is not None
        watching = threading.Thread(target=lambda: results.append(autonl("watch", search_id, "--url", url)))
        watching.start()
        wait_for(lambda: 'route="/searches/{search_id}"' in client.get("/metrics").text, "watch polls")
    with socket.create_server(("127.0.0.1", port)) as silent:
        silent.accept()[0].close()  # watch sent a request and got no response
    with serving(settings, port) as client:
        client.post(f"/searches/{search_id}/cancel")
        watching.join(20)
    assert (results[0].exit_code, "cancelled" in results[0].stdout) == (1, True)


def test_labels_are_set_shown_listed_and_removed(service: httpx.Client) -> None:
    search_id = start(service)
    set_both = autonl("label", search_id, "team:x", "project:a:b")
    assert (set_both.exit_code, set_both.stdout) == (0, f"search {search_id}: project:a:b, team:x\n")
    assert re.search(r"labels\s+project:a:b, team:x", autonl("status", search_id).stdout)
    assert search_id[:8] in autonl("list", "--label", "team:x").stdout
    removed = autonl("label", search_id, "--remove", "team", "--remove", "project")
    assert removed.stdout == f"search {search_id}: no labels\n"
    assert autonl("list", "--label", "team:x").stdout == "no searches\n"


def test_a_search_is_started_with_labels_beside_those_of_its_file(service: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("{dataset: digits, flops_budget: 400k, labels: {team: a, for: demo}}")
    started = autonl("search", "-c", str(file), "--label", "team:x", "--label", "ticket:7", "--json")
    assert json.loads(started.stdout)["labels"] == {"for": "demo", "team": "x", "ticket": "7"}
    refused = autonl("search", "-c", str(file), "--label", "team")
    assert (refused.exit_code, "KEY:VALUE" in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"), [((), "name a label to set"), (("team",), "KEY:VALUE"), (("T:x",), "a-z")]
)
def test_what_is_no_label_is_refused_with_the_reason(
    service: httpx.Client, arguments: tuple[str, ...], said: str
) -> None:
    refused = autonl("label", start(service), *arguments)
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
