"""The first page of a report, for a reader who opens no other: what the network is, how good, how fast, how made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autonl_core.report.comparison import title_of
from autonl_core.report.facts import Facts
from autonl_core.report.figures import duration, pct, short, short_bytes
from autonl_core.report.latencies import headline
from autonl_core.report.statistics import confusion, most_confused
from autonl_core.report.table import Table
from autonl_core.report.words import NOT_STATED
from autonl_core.spec.formats import FORMATS
from autonl_core.wording.counts import counted
from autonl_core.wording.evidence import wilson_pct

SHOWN_MISTAKES = 6
_NAMED_CLASSES = 8
_NAMED_PAIRS = 3


def at_a_glance(facts: Facts) -> Table:
    """Questions that anybody asks of a network, and their answers in a sentence each."""
    rows = [
        ("what it does", _what_it_does(facts)),
        ("how good it is", _how_good(facts)),
        ("compared with", _compared_with(facts)),
        ("how fast it is", _how_fast(facts)),
        ("how large it is", _how_large(facts)),
        ("what it gets wrong", _what_it_gets_wrong(facts)),
        ("how it was made", _how_it_was_made(facts)),
        *_whose(facts),
    ]
    return Table(("question", "answer"), tuple(rows), (0, 1))


def _what_it_does(facts: Facts) -> str:
    data = facts.dataset
    more = len(data.classes) - _NAMED_CLASSES
    named = ", ".join(data.classes[:_NAMED_CLASSES]) + (f" and {more:,} more" if more > 0 else "")
    return f"names the class of an image, one of {len(data.classes):,}: {named}"


def _how_good(facts: Facts) -> str:
    """As a frequency, which is read more rightly than a percentage of confidence."""
    test = facts.test
    low, high = wilson_pct(test.correct, test.images)
    of_100 = round(100 * test.correct / test.images)
    return (
        f"of 100 new images like the test images it names about {of_100} right (between {low:.0f} and {high:.0f}, as "
        f"far as {counted(test.images, 'test image')} show)"
    )


def _compared_with(facts: Facts) -> str:
    scored = [
        f"{title_of(each)}: {pct(100 * each.test_correct / facts.test.images)} for {short(each.macs)} MACs"
        for each in facts.baselines
        if each.test_correct is not None
    ]
    return "; ".join(scored) or "nothing; `baselines` of a search asks for a comparison"


def _how_fast(facts: Facts) -> str:
    _, time, form = headline(facts)
    machine = facts.run.machine
    threads = f", {counted(int(machine['threads']), 'thread')}" if "threads" in machine else ""
    where = f"{machine.get('processor', 'the machine of the search')}{threads}"
    return f"{time} for an image: {form}, on {where}; other machines differ"


def _how_large(facts: Facts) -> str:
    """The delivered files with the most and the fewest bytes."""
    sizes = sorted(
        (-parity.size_bytes, FORMATS[name].file_name)
        for name, parity in (facts.parity or {}).items()
        if parity.withheld is None and parity.size_bytes is not None
    )
    shown = dict.fromkeys([*sizes[:1], *sizes[-1:]])
    listed = [f"{short_bytes(-size)} as {file}" for size, file in shown]
    return " to ".join(listed) or f"{short_bytes(4 * facts.architecture.params)} as float32"


def _what_it_gets_wrong(facts: Facts) -> str:
    names = facts.dataset.classes
    pairs = most_confused(confusion(facts.test.labels, facts.test.predicted, len(names)), _NAMED_PAIRS)
    if not pairs:
        return "none of the test images"
    listed = [
        f"{names[pair.label]} taken for {names[pair.predicted]} ({pair.count:,} of {pair.images:,})" for pair in pairs
    ]
    return "most often " + "; ".join(listed)


def _how_it_was_made(facts: Facts) -> str:
    data, start = facts.dataset, facts.start
    images = counted(int(data.train_counts.sum()), "training image")
    origin = "from random weights" if start is None else f"from the pretrained weights {start.weights}"
    took = duration(sum(facts.run.seconds_by_phase.values()))
    return f"by a search of {took}, {origin}, on {images} of {data.name}; seed {facts.run.config['seed']}"


def _whose(facts: Facts) -> Iterator[tuple[str, str]]:
    """When it was made and whose it is, as the user stated it."""
    card = facts.run.config.get("card", {})
    authors: Sequence[str] = card.get("authors", ())
    if facts.run.ended is not None:
        yield "date", f"{facts.run.ended:%Y-%m-%d}"
    yield "authors", ", ".join(authors) or NOT_STATED
    yield "licence", card.get("licence") or NOT_STATED
