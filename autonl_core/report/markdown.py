"""The report as Markdown: the same text and tables, without pictures, which many Markdown viewers do not show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from autonl_core.report import (
    comparison,
    figures,
    first_page,
    image_tables,
    latencies,
    moved,
    run_tables,
    searched,
    tables,
    words,
)
from autonl_core.report.facts import Facts
from autonl_core.report.table import Table

# Characters with a meaning in Markdown dialects: emphasis, code, links, HTML, entities, tables, formulas, mentions,
# bare URLs, and at the start of a line lists, headings and rules. Nothing else is escaped: the source stays readable.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$@#]|(?<=www)\.|:(?=//)|^[-+=])")
_NUMBERED = re.compile(r"^([0-9]{1,9})([.)])(?=\s|$)")
_ISOLATED = "\u2068{}\u2069"  # keeps right-to-left text from affecting its surroundings


def plain(text: str) -> str:
    """`text` escaped, so that Markdown shows it literally, in a table cell as well."""
    escaped = _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", " ".join(text.split())))
    right_to_left = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    return _ISOLATED.format(escaped) if right_to_left else escaped


def as_markdown(facts: Facts) -> str:
    """The whole report as Markdown."""
    data, arch, run = facts.dataset, facts.architecture, facts.run
    parts = [
        f"# {plain(data.name)} within {figures.short(facts.budget_macs)} MACs",
        " ".join(plain(sentence) for sentence in words.verdict(facts)),
        *map(_table, (first_page.at_a_glance(facts), tables.summary(facts))),
        *_notes(run.notes),
        "## Data",
        plain(words.about_data(facts)),
        *_notes((*data.reading, *data.warnings)),
        _table(image_tables.class_counts(facts)),
        *_section("## Test images shown by training images", image_tables.pairs(facts)),
        *_section("## Pretrained weights", tables.start(facts), words.about_start(facts)),
        "## Architecture",
        f"`{arch.arch_string.replace('|', '·')}`",
        plain(words.about_architecture(facts)),
        _table(tables.layers(facts)),
        *_section("## Budget certificate", tables.certificate(facts)),
        *_section("## How the architecture moved", moved.moves(facts), moved.ABOUT_MOVES),
        "## Candidates at equal MACs",
        plain(" ".join(searched.about_candidates(facts))),
        _table(tables.candidates(facts)),
        *_section("## Measured networks", searched.measured(facts), searched.ABOUT_MEASURED),
        *_section("## Test results by class", image_tables.scored_classes(facts), words.about_classes(facts)),
        plain(words.about_probabilities(facts)),
        *_section("## Most confused classes", image_tables.confused_pairs(facts)),
        *_section("## Most confident mistakes", image_tables.mistakes(facts)),
    ]
    if facts.baselines:
        parts += [
            "## Baselines",
            plain(" ".join(comparison.limits_of_comparison(facts))),
            _table(tables.baselines(facts)),
        ]
    if facts.parity:
        parts += ["## Formats", plain(words.ABOUT_FORMATS), _table(tables.formats(facts))]
    parts += _section("## Latency", latencies.latency(facts), words.about_latency(facts))
    parts += ["## Run details", plain(words.about_run(facts)), _table(run_tables.seconds(facts))]
    return _joined([*parts, _table(run_tables.settings(facts)), f"MACs: {plain(facts.counting_rule)}."])


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _notes(notes: Iterable[str]) -> list[str]:
    listed = "\n".join(f"- {plain(note)}" for note in notes)
    return [listed] if listed else []


def _section(title: str, table: Table | None, text: str = "") -> list[str]:
    if table is None or not table.rows:
        return []
    return [title, plain(text), _table(table)]


def _table(table: Table) -> str:
    rule = ["---" if column in table.named else "---:" for column in range(len(table.head))]
    lines = [table.head, tuple(rule), *table.rows]
    return "\n".join(
        "| " + " | ".join(cell if line is lines[1] else plain(cell) for cell in line) + " |" for line in lines
    )
