"""How the architecture moved, as a table of the report: first, middle and last epoch, and what was derived."""

from __future__ import annotations

import pytest

from autonl_core.report import moved, render
from autonl_core.spec import arch_string
from autonl_core.spec.history import History, PlacedNetwork
from autonl_core.spec.macs import count_macs
from tests.autonl_core.report.example_facts import facts
from tests.store.sample_epochs import SPACE, options_of, place_of

SEEDS = {1: 3, 2: 4, 3: 5, 4: 6, 5: 7, None: 8}


@pytest.fixture
def history() -> History:
    """Of five epochs, the third reported twice, as by an attempt that resumes."""
    found = History()
    for epoch, seed in (*SEEDS.items(), (3, 5)):
        options = options_of(seed)
        network = PlacedNetwork(epoch, arch_string.encode(SPACE.build(options)), place_of(options, epoch).skipped)
        found.place(network)
    return found


def test_it_names_the_option_at_every_position(history: History) -> None:
    table = moved.moves(facts(history=history))
    assert table is not None
    assert table.head == ("position", "epoch 1", "epoch 3", "epoch 5", "derived")
    shown = [options_of(seed) for seed in (3, 5, 7, 8)]
    assert len(table.rows) == len(SPACE.blocks) + 1
    for position, row in enumerate(table.rows[:-1]):
        assert row[0] == str(position + 1)
        for name, options in zip(row[1:], shown, strict=True):
            option = options[position]
            assert (name == "skipped") == (option is None)
            assert option is None or name.startswith(f"k{option.kernel_size} e{option.expand_ratio}")
            assert option is None or ("NL" in name) == (option.light_nl is not None)
    assert table.rows[-1] == ("MACs", *(f"{count_macs(SPACE.build(options)).total:,}" for options in shown))


def test_both_forms_of_the_report_have_it(history: History) -> None:
    made = render(facts(history=history), {})
    assert "How the architecture moved" in made.html
    assert "## How the architecture moved" in made.markdown


def test_there_is_none_without_epochs() -> None:
    bare = History()
    bare.place(PlacedNetwork(None, arch_string.encode(SPACE.smallest()), ()))  # of a search that goes on
    assert moved.moves(facts(history=bare)) is None
    assert "How the architecture moved" not in render(facts(history=bare), {}).markdown
