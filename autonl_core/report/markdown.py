"""The report as Markdown: the same tables without the pictures, which most places that show Markdown leave out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from autonl_core.report import tables, words
from autonl_core.report.facts import Facts
from autonl_core.report.tables import Table

# What Markdown, or what shows it, takes for markup: emphasis, code, links, HTML, entities, tables, formulas, mentions,
# bare addresses, and at the start lists, headings and rules. Escaped no further, so that the text itself can be read.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$@#]|(?<=www)\.|:(?=//)|^[-+=])")
_NUMBERED = re.compile(r"^([0-9]{1,9})([.)])(?=\s|$)")
_ISOLATED = "\u2068{}\u2069"  # text that runs from right to left keeps to its cell


def plain(text: str) -> str:
    """`text` as it is, whatever it holds: neither markup, nor HTML, nor a table's bar."""
    escaped = _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", " ".join(text.split())))
    runs_left = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    return _ISOLATED.format(escaped) if runs_left else escaped


def as_markdown(facts: Facts) -> str:
    """The whole report."""
    data, arch, run = facts.dataset, facts.architecture, facts.run
    parts = [
        f"# {plain(data.name)} within {words.short(facts.budget_macs)} MACs",
        " ".join(plain(sentence) for sentence in words.verdict(facts)),
        _table(tables.summary(facts)),
        *_notes(run.notes),
        "## Data",
        plain(words.about_data(facts)),
        *_notes(data.warnings),
        _table(tables.class_counts(facts)),
        "## Architecture",
        f"`{arch.arch_string.replace('|', '·')}`",
        plain(words.about_architecture(facts)),
        _table(tables.layers(facts)),
        *_section("## Budget certificate", tables.certificate(facts)),
        "## Candidates at these MACs",
        plain(words.about_candidates(facts)),
        _table(tables.candidates(facts)),
        "## Test results by class",
        plain(words.about_classes(facts)),
        _table(tables.scored_classes(facts)),
        *_section("## Most confused", tables.confused_pairs(facts)),
        *_section("## Mistakes made with most confidence", tables.mistakes(facts)),
    ]
    if facts.baselines:
        parts += ["## Baselines", plain(" ".join(words.how_far_apart(facts))), _table(tables.baselines(facts))]
    if facts.parity:
        parts += ["## Formats", plain(words.ABOUT_FORMATS), _table(tables.formats(facts))]
    parts += _section("## Latency", tables.latency(facts), words.about_latency(facts))
    parts += ["## How it was run", plain(words.about_run(facts)), _table(tables.seconds(facts))]
    parts += [_table(tables.settings(facts)), f"MACs are {plain(facts.counting_rule)}."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _notes(notes: Iterable[str]) -> list[str]:
    listed = "\n".join(f"- {plain(note)}" for note in notes)
    return [listed] if listed else []


def _section(title: str, table: Table | None, said: str = "") -> list[str]:
    if table is None or not table.rows:
        return []
    return [title, plain(said), _table(table)]


def _table(table: Table) -> str:
    rule = ["---" if column in table.named else "---:" for column in range(len(table.head))]
    lines = [table.head, tuple(rule), *table.rows]
    return "\n".join(
        "| " + " | ".join(cell if line is lines[1] else plain(cell) for cell in line) + " |" for line in lines
    )
