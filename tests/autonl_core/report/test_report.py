"""A report: self-contained, safe with hostile names, the same facts in both forms, and plain about a worse result."""

from __future__ import annotations

import base64
import io
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from autonl_core.datasets.check_report import SamePicture
from autonl_core.report import Report, render
from autonl_core.report.canvas import DARK, LIGHT
from autonl_core.report.facts import Facts
from autonl_core.report.figures import short, short_bytes
from autonl_core.report.first_page import at_a_glance
from autonl_core.report.images import strip_uri
from autonl_core.report.markdown import as_markdown, plain
from autonl_core.report.pictures import draw_all
from autonl_core.report.run_tables import settings
from autonl_core.report.tables import baselines
from autonl_core.report.words import about_classes, verdict
from autonl_core.spec.history import History
from autonl_core.spec.measured_network import MeasuredNetwork
from tests.autonl_core.report.example_facts import PLAIN, baseline, facts, rival, start

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE | pipes | and `ticks`",
    "$\\frac{1}{0}$ _under_ *stars* [link](http://x.y)",
    "قطة صغيرة",
    "x" * 60,
    "{{ 7 * 7 }} {% raw %}",
    "&lt;b&gt; &amp; http://evil.example/ www.evil.example",
    "- list",
    "1. list",
    "12) list",
    "# heading",
    "~~gone~~ @somebody \\",
)


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def cells(markdown: str) -> set[str]:
    """The text of all table cells, as rendered Markdown shows it."""
    found = set()
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    for opening, content in itertools.pairwise(tokens):
        if opening.type in ("td_open", "th_open"):
            children = content.children or []
            assert {child.type for child in children} <= {"text", "text_special"}, content.content
            found.add("".join(child.content for child in children).strip("\u2068\u2069"))
    return found


@pytest.fixture(scope="module")
def hostile() -> tuple[Page, str]:
    report = render(facts(HOSTILE))
    return Page(report.html), report.markdown


@pytest.fixture(scope="module")
def plain_report() -> Report:
    """Of a few classes with short names, and one baseline."""
    return render(facts(PLAIN, baselines=(baseline(30),)))


def test_the_page_runs_and_loads_nothing(hostile: tuple[Page, str]) -> None:
    page, _ = hostile
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "embed", "link", "form", "base", "svg"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "srcset"):
            if name in attributes:
                assert str(attributes[name]).startswith("data:image/"), tag
        if "href" in attributes:
            assert str(attributes["href"]).startswith("#")
        if "style" in attributes:
            assert re.fullmatch(r"--s(hare)?: [0-9.]+", str(attributes["style"]))
    policies = [a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv")]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    linked = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert linked <= {str(a.get("id")) for _, a in page.tags}


def test_every_name_is_shown_literally_in_both_forms(hostile: tuple[Page, str]) -> None:
    page, markdown = hostile
    for name in HOSTILE:
        assert page.texts.count(name) >= 4, name  # samples, counts, recall, mistakes or confusion
    assert set(HOSTILE) <= cells(markdown)
    assert "<script" not in markdown.replace("\\<script", "")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_interpreted_as_markup(name: str) -> None:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for line in (name, f"- {name}", f"a {name} b"):
        marked = line.replace(name, plain(name))
        found = [child for token in parser.parse(marked) for child in token.children or []]
        assert {child.type for child in found} <= {"text", "text_special"}, marked
        assert "".join(child.content for child in found).strip("\u2068\u2069") in (
            name,
            f"a {name} b",
            f"a \u2068{name}\u2069 b",
        )
        assert len([token for token in parser.parse(marked) if token.type == "inline"]) == 1
        assert not any(token.type == "list_item_open" for token in parser.parse(plain(name)))


@pytest.mark.long
def test_equal_facts_give_equal_reports(plain_report: Report) -> None:
    assert render(facts(PLAIN, baselines=(baseline(30),))) == plain_report


def test_key_figures_are_in_both_forms(plain_report: Report) -> None:
    made, report = facts(PLAIN, baselines=(baseline(30),)), plain_report
    text = " ".join(Page(report.html).texts)
    plain = MarkdownIt("commonmark").enable("table").render(report.markdown)
    expected = (
        "95.0% (57 of 60; 95% interval 86.3% to 98.3%)",
        "60 test images are few",
        "45.0 points better than MobileNetV2",
        f"{made.architecture.macs:,}",
        "100 MACs (10.00% of the budget)",
        "withheld: it loses 28.3 points",
        "b" * 64,
        "16.000 (0.500 per image)",
        "1 min 30 s",
    )
    for shown in expected:
        assert shown in text, shown
        assert shown in plain, shown


def answered(facts: Facts) -> dict[str, str]:
    return {row[0]: row[1] for row in at_a_glance(facts).rows}


def test_the_first_page_answers_what_anybody_asks() -> None:
    card = {"authors": ["A. Person", "B. Person"], "licence": "CC-BY-4.0"}
    example = facts(PLAIN, baselines=(rival("off-the-shelf", 50), rival("uniform", None, problem="the loss was nan")))
    run = replace(
        example.run, ended=datetime(2026, 5, 4, 23, 59, tzinfo=UTC), config={**example.run.config, "card": card}
    )
    answers = answered(replace(example, run=run))
    assert answers == {
        "what it does": "names the class of an image, one of 3: cat, dog, horse",
        "how good it is": "of 100 new images like the test images it names about 95 right (between 86 and 98, as far "
        "as 60 test images show)",
        "compared with": "pretrained network, whole, at 64 pixels: 83.3% for 31.3M MACs",
        "how fast it is": "1.50 ms for an image: PyTorch, as trained, on the machine of the search, 2 threads; other "
        "machines differ",
        "how large it is": "1 kB as model.safetensors",  # the other file is withheld
        "what it gets wrong": "most often cat taken for dog (1 of 20); dog taken for horse (1 of 20); horse taken for "
        "cat (1 of 20)",
        "how it was made": "by a search of 1 min 30 s, from random weights, on 300 training images of animals; seed 7",
        "date": "2026-05-04",
        "authors": "A. Person, B. Person",
        "licence": "CC-BY-4.0",
    }
    report = render(replace(example, run=run))
    shown = Page(report.html).texts
    for question, answer in answers.items():
        assert question in shown
        assert answer in shown
        assert {question, answer} <= cells(report.markdown)


def test_what_was_not_stated_or_asked_for_is_said_to_be_so() -> None:
    answers = answered(facts())
    assert (answers["authors"], answers["licence"]) == ("not stated", "not stated")
    assert answers["compared with"] == "nothing; `baselines` of a search asks for a comparison"


@pytest.mark.parametrize(
    ("correct", "expected"),
    [
        (
            60,
            (
                "The result is 5.0 points worse than MobileNetV2 scaled to 500k MACs and trained the same way, which "
                "reaches 100.0%"
            ),
        ),
        (57, "The result is level with MobileNetV2"),
        (20, "The result is 61.7 points better than MobileNetV2"),
    ],
)
def test_a_worse_result_is_stated_as_plainly_as_a_better_one(correct: int, expected: str) -> None:
    (sentence,) = [s for s in verdict(facts(baselines=(baseline(correct),))) if "MobileNetV2" in s]
    assert sentence.startswith(expected)
    assert ("may be chance" in sentence) == (correct > 20)  # of 60 images 60 to 57 have p = .24


def test_a_baseline_without_a_score_states_the_reason() -> None:
    text = " ".join(verdict(facts(baselines=(baseline(None, "the loss was nan"),))))
    assert "has no score: the loss was nan" in text
    assert "the loss was nan" in as_markdown(facts(baselines=(baseline(None, "the loss was nan"),)))


@pytest.mark.parametrize(
    ("correct", "figures"),
    [
        (56, "93.3% for 31.3M MACs, 1.7 points less than the result; with 60 test images, that may be chance"),
        (59, "98.3% for 31.3M MACs, 3.3 points more than the result; with 60 test images, a difference below 11.7"),
        (57, "95.0% for 31.3M MACs, as much as the result; with 60 test images, that may be chance"),
        (52, "86.7% for 31.3M MACs, 8.3 points less than the result; with 60 test images, a difference below 11.7"),
    ],
)
def test_where_so_many_images_do_not_distinguish_two_networks_no_verdict_is_given(correct: int, figures: str) -> None:
    unknown = "Whether the search was worth its compute is not known: with the same compute, fine-tuning the whole"
    (sentence,) = [s for s in verdict(facts(baselines=(rival("off-the-shelf", correct),))) if "compute" in s]
    assert sentence.startswith(f"{unknown} pretrained network at 64 pixels reaches {figures}")


def scored(correct: int, test_counts: list[int]) -> Facts:
    """The example with another score on so many test images of each class."""
    example = facts()
    return replace(
        example,
        test=replace(example.test, correct=correct, images=sum(test_counts)),
        dataset=replace(example.dataset, test_counts=np.array(test_counts)),
    )


def test_nothing_is_said_of_guessing_that_the_number_of_test_images_does_not_bear() -> None:
    few, bad = " ".join(verdict(scored(7, [5, 3, 2]))), " ".join(verdict(scored(21, [20, 20, 20])))
    assert "10 test images cannot show whether that is better than guessing" in few
    assert "no better than guessing" not in few
    assert "As far as 60 test images show, that is no better than guessing" in bad
    assert "guessing" not in " ".join(verdict(scored(58, [20, 20, 20])))


def test_guessing_is_called_what_it_is() -> None:
    assert "always predicting one class would reach 33.3%" in verdict(scored(58, [20, 20, 20]))[0]
    assert "always predicting the most frequent class would reach 50.0%" in verdict(scored(58, [30, 20, 10]))[0]


def test_one_is_written_in_the_singular() -> None:
    text = " ".join([*verdict(scored(1, [1, 0, 0])), about_classes(scored(1, [1, 1, 1]))])
    assert "1 test image is few" in text
    assert "as few as 1 test image in a class" in text
    assert "1 test images" not in text


def test_top5_of_five_classes_or_fewer_is_no_figure() -> None:
    assert "test top-5" not in as_markdown(facts())  # of three classes


def test_a_search_that_won_by_more_than_chance_was_worth_it() -> None:
    made = facts(baselines=(rival("off-the-shelf", 40),))  # 28.3 points of 60 images: 13.2 would be chance
    assert (
        "The search was worth its compute: with the same compute, fine-tuning the whole pretrained network at 64 "
        "pixels reaches 66.7% for 31.3M MACs, 28.3 points less than the result."
    ) in verdict(made)


def test_a_search_that_lost_says_so() -> None:
    made = facts(baselines=(rival("uniform", 60, work_share=0.8),))
    made = replace(made, test=replace(made.test, correct=30))
    assert (
        "The search was not worth its compute: with 80% of the compute, cutting every block of the fine-tuned network "
        "alike at 64 pixels reaches 100.0% for 31.3M MACs, 50.0 points more than the result."
    ) in verdict(made)


def test_the_result_is_judged_by_the_better_of_its_rivals_in_one_sentence() -> None:
    made = facts(baselines=(rival("off-the-shelf", 30), baseline(20), rival("uniform", 35)))
    about = [sentence for sentence in verdict(made) if "compute" in sentence]
    assert len(about) == 1
    assert "alike at 64 pixels (the better of two alternatives) reaches 58.3%" in about[0]
    text = " ".join(Page(render(made).html).texts)
    assert "41 passes over all training images, 102% of the compute of the search, the training of the teacher" in text
    assert "Each published network is scaled in width" in text
    assert text.count("pretrained network, whole, at 64 pixels") == 2  # on the first page, and in the table


def test_a_rival_without_a_score_states_the_reason() -> None:
    problem = "even at 64 pixels it takes 31,348,352 MACs, and the budget is 20,000,000"
    made = facts(baselines=(rival("off-the-shelf", None, problem=problem),))
    assert f"The pretrained network, whole, at 64 pixels: no score, because {problem}." in verdict(made)
    assert problem in as_markdown(made)


def test_pretrained_weights_are_named_with_their_licence_in_both_forms() -> None:
    report = render(facts(start=start()))
    text = " ".join(Page(report.html).texts)
    rendered = " ".join(Page(MarkdownIt("commonmark").enable("table").render(report.markdown)).texts)
    for shown in (
        "The delivered weights derive from the weight set lite0, whose licence is Apache-2.0.",
        "fine-tuned at 128 pixels: validation top-1 88.4%",
        "tried for one pass at 96 (80.1%), 80 (78.3%) pixels (validation top-1); the lowest validation loss chose 96.",
        "the training of <a lab>",
        "0.4850, 0.4560, 0.4060",
        "c" * 64,
    ):
        assert shown in text, shown
        assert shown in rendered, shown
    assert "Pretrained weights" not in as_markdown(facts())


def test_weights_of_unknown_licence_and_a_network_that_only_learned_from_them_are_described_as_such() -> None:
    made = facts(start=start(licence=None, inherited=False, trials=(), teacher_val_top1_pct=None))
    text = as_markdown(made)
    assert "The delivered network learned from the weight set lite0, whose licence is not stated." in text
    assert "validation top-1 was not kept" in text
    assert "96 pixels were the only resolution to try." in text


@pytest.mark.parametrize(
    ("origin", "shown"),
    [("uniform", "every block alike"), ("widest", "the most parameters that the budget allows"), ("by_scores", None)],
)
def test_a_search_whose_result_takes_no_search_says_so(origin: str, shown: str | None) -> None:
    example = facts()
    text = " ".join(verdict(replace(example, architecture=replace(example.architecture, chosen_as=origin))))
    assert ("nothing better than a plain network" in text) == (shown is not None)
    if shown is not None:
        assert f"this one has {shown}." in text


def test_what_was_done_to_the_images_can_be_found() -> None:
    example = facts()
    pair = SamePicture("train/a.png", "test/b.png", "near", 1.5)
    read = ("The class of every image is what these files say (1: patients.csv)",)
    data = replace(example.dataset, is_mirrored=True, grey_range=(0.0, 4095.0), reading=read, pairs=(pair,))
    report = render(replace(example, dataset=data))
    for text in (" ".join(Page(report.html).texts), report.markdown):
        assert "only the square at its centre is used" in text
        assert "Training images were mirrored at random." in text
        assert "mapped from 0 (black) to 4095 (white)" in text
        assert "patients.csv" in text
        assert "train/a.png" in text
        assert "1.5 of 255 levels apart" in text
    assert "Training images were not mirrored." in as_markdown(example)


def test_settings_that_were_left_open_are_listed_with_what_they_became() -> None:
    example = facts()
    config = {"seed": 7, "resolution": None, "parent": None, "augment": {"horizontal_flip": None, "erase": 0.5}}
    used = {"resolution": 64, "augment.horizontal_flip": False}
    listed = settings(replace(example, run=replace(example.run, config=config, used=used)))
    rows = {row[0]: row[1] for row in listed.rows}
    assert rows["resolution"] == "64 (default)"
    assert rows["augment.horizontal_flip"] == "no (default)"
    assert (rows["parent"], rows["augment.erase"], rows["seed"]) == ("none", "0.5", "7")


def test_everything_that_scrolls_can_be_focused_and_all_text_lies_in_landmarks(plain_report: Report) -> None:
    html = plain_report.html
    page = Page(html)
    scrolled = [attributes for tag, attributes in page.tags if attributes.get("class") in ("scroll", "picture")]
    assert len(scrolled) > 10
    assert all(attributes.get("tabindex") == "0" for attributes in scrolled)
    assert all(attributes.get("aria-label") for attributes in scrolled if attributes["class"] == "scroll")
    assert [tag for tag, _ in page.tags if tag in ("main", "footer")] == ["main", "footer"]
    assert not re.search(r"<th[^>]*></th>", html)


def test_a_baseline_without_a_score_has_its_reason_in_a_column_of_its_own() -> None:
    table = baselines(facts(baselines=(baseline(None, "the loss was nan"), baseline(30))))
    assert table.rows[1][3:] == ("–", "–", "–", "no score: the loss was nan")
    assert table.rows[2][3:5] == ("30 of 60", "50.0%")


@pytest.mark.long
def test_a_thousand_classes_stay_readable_and_small(plain_report: Report) -> None:
    report = render(facts(tuple(f"class {number}" for number in range(1000)), per_class=3))
    assert len(report.html) < 1_000_000
    rows = report.html.count("<tr")
    assert rows < 200
    assert "Classes with the lowest recall" in report.html
    assert 'class="matrix"' not in report.html
    assert 'class="matrix"' in plain_report.html


def test_rows_and_columns_of_the_confusion_matrix_carry_the_names_of_the_classes() -> None:
    names = ("a <b>", "7", "名")
    html = render(facts(names)).html
    head, body = html.partition('class="matrix"')[2].partition("</table>")[0].split("</thead>")
    shown = ["a &lt;b&gt;", "7", "名"]
    assert re.findall(r"<bdi>(.*?)</bdi>", head) == shown
    assert re.findall(r"<bdi>(.*?)</bdi>", body) == shown


@pytest.mark.long
def test_thirty_classes_of_large_noisy_images_stay_below_two_megabytes() -> None:
    names = tuple(f"class {number}" for number in range(30))
    assert len(render(facts(names, side=224)).html) < 2_000_000


def test_without_curves_certificate_and_formats_it_is_still_complete() -> None:
    made = facts(history=History(), certificate=None, parity=None, latency_ms=None)
    report = render(replace(made, test=replace(made.test, mistakes=())))
    assert "every test image was classified correctly" in report.html
    assert "Budget certificate" in report.html
    assert {"class", "cat"} <= cells(report.markdown)


def test_pictures_are_drawn_once_and_coloured_twice() -> None:
    for picture in draw_all(facts(baselines=(baseline(50),))).values():
        light, dark = (base64.b64decode(uri.split(",")[1]).decode() for uri in (picture.light_uri, picture.dark_uri))
        assert light != dark
        assert not any(colour in dark for name, colour in LIGHT.items() if colour not in DARK.values()), picture.name
        assert re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark)
        assert "<script" not in light
        assert not re.search(r"\d{4}-\d\d-\d\d", light)  # no date


def test_small_images_keep_their_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(strip_uri(list(images)).split(",")[1]))))
    assert strip.shape == (8, 3 * 8 + 2, 3)
    for place, image in enumerate(images):
        assert np.array_equal(strip[:, 9 * place : 9 * place + 8], image)


def test_large_numbers_are_short() -> None:
    assert [short(n) for n in (0, 999, 1000, 395_368, 4_470_272, 12_345_678_901)] == [
        "0", "999", "1k", "395k", "4.47M", "12.3G",
    ]  # fmt: skip
    assert [short_bytes(n) for n in (12, 186_704, 4_000_000)] == ["12 B", "187 kB", "4 MB"]


@pytest.mark.long
def test_measured_networks_are_drawn_where_they_were_kept() -> None:
    example = facts()
    networks = tuple(
        MeasuredNetwork(f"network {place}", 99_000, 1_000 * place, 2_000 * place, origin, 40.0 + place)
        for place, origin in enumerate(("random", "uniform", "widest", "by_scores", "drawn", "without_light_nl"), 1)
    )
    comparison = replace(example.architecture.comparison, networks=networks)
    kept = replace(example, architecture=replace(example.architecture, comparison=comparison))
    assert "measured" not in draw_all(example)
    assert draw_all(kept)["measured"].svg == draw_all(kept)["measured"].svg
    assert draw_all(kept)["measured"].alt in render(kept).html
    assert "## Measured networks" in as_markdown(kept)
