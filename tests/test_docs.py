"""The pages agree with the code: tables, kinds of events, names of files and settings, links."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from autonl_core.spec.event_kinds import EventKind
from benchmarks.tables import DOCS, fill
from store.settings import Settings
from tests import test_words

ROOT = DOCS.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FOLDERS = (".ci", *test_words.FOLDERS)
OF_THE_CLIENT = ("key",)  # which has no other settings; AUTONL_URL is one of the service too
IMAGE_SUFFIXES = (".png", ".svg")

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
_KIND = re.compile(r"^\| `(?P<kind>\w+)` \|", re.MULTILINE)
_LAYER = re.compile(r"^\| (?P<packages>`\w+(?:/|\.py)?`(?:, `\w+/?`)*) \|", re.MULTILINE)
_SETTING = re.compile(r"\bAUTONL_([A-Z_]+)\b")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: repeated ones are numbered."""
    anchors: list[str] = []
    seen: Counter[str] = Counter()
    for heading in _HEADING.finditer(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        anchor = re.sub(r"[^\w\- ]", "", heading["text"].lower()).replace(" ", "-")
        anchors.append(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return set(anchors)


def links_of(page: Path) -> Iterator[str]:
    """The targets of a page's links inside the repository."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    targets = (link["target"] for link in _LINK.finditer(text))
    return (target for target in targets if not re.match(r"[a-z]+:", target))


def broken_link(page: Path, target: str) -> str | None:
    """Why `target` leads nowhere; None if it leads somewhere."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.is_relative_to(ROOT) or not file.exists():
        return f"{target}: no such file"
    if anchor and anchor not in anchors_of(file):
        return f"{target}: {name_of(file)} has no heading with this anchor"
    return None


def paths_in(page: Path) -> Iterator[str]:
    """Files of the repository that a page names in code spans; not those with `NAME`, which stands for any name."""
    for code in _CODE.findall(page.read_text(encoding="utf-8")):
        if re.fullmatch(rf"({'|'.join(map(re.escape, FOLDERS))})/[\w./-]*", code) and "NAME" not in code:
            yield code


@pytest.mark.parametrize("name", ["macs.md", "speed.md", "quotas.md"])
def test_tables_are_those_that_the_code_writes(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert fill(page) == page, f"run `python -m benchmarks.tables`: docs/{name} is out of date"
    assert "<!-- table" in page


def test_every_kind_of_event_is_documented_once_and_no_other() -> None:
    documented = _KIND.findall((DOCS / "events.md").read_text(encoding="utf-8"))
    assert sorted(documented) == sorted(EventKind)


def test_the_layers_of_the_core_are_described_as_they_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["autonl_core"])
    section = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Inside autonl_core")[2]
    described = [set(re.findall(r"`(\w+)", row["packages"])) for row in _LAYER.finditer(section.partition("\n## ")[0])]
    assert described == [set(layer.split(" | ")) for layer in layers]


def test_the_check_of_links_finds_what_it_looks_for() -> None:
    page = DOCS / "architecture.md"
    assert broken_link(page, "reliability.md#how") is None
    assert broken_link(page, "../README.md") is None
    assert broken_link(page, "missing.md") == "missing.md: no such file"
    assert broken_link(page, "reliability.md#missing") is not None
    assert broken_link(page, "../../outside.md") is not None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert [problem for target in links_of(page) if (problem := broken_link(page, target))] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_named_in_a_page_exist(page: Path) -> None:
    assert [path for path in paths_in(page) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_named_in_a_page_exist(page: Path) -> None:
    named = {setting.lower() for setting in _SETTING.findall(page.read_text(encoding="utf-8"))}
    assert named <= {*Settings.model_fields, *OF_THE_CLIENT}


def test_every_page_in_docs_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [(page.parent / target.partition("#")[0]).resolve() for target in links_of(page)]
    assert [name_of(page) for page in PAGES if page not in reached] == []
