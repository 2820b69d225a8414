"""The architecture history: exact MACs, positions as the supernet has them, what counts after a crash, what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autonl_core.spec import arch_string
from autonl_core.spec.arch import ArchSpec, BlockSpec, LightNLSpec
from autonl_core.spec.architecture_history import (
    NO_HISTORY,
    ArchitectureHistory,
    HistoryEntry,
    ReportedNetwork,
    history_of,
    note_of,
    option_name,
)
from autonl_core.spec.gate_kinds import gates_of
from autonl_core.spec.macs import count_macs
from autonl_core.spec.result import SearchResult
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.side_by_side.layers import aligned_layers
from autonl_core.spec.space_families import get_space
from tests.autonl_core.small_searches import Recorder
from tests.store.sample_epochs import SPACE, gates_at, history, network, options_of, same_but_for

SPACES = [SPACE, get_space("mobile-224", 224, 1000), get_space("mobile-32", 32, 10)]


def chosen_blocks(found: ArchitectureHistory, entry: HistoryEntry) -> tuple[BlockSpec, ...]:
    """The network of an entry, as the options say that stand at its positions."""
    placed = [place.options[option] for place, option in zip(found.positions, entry.options, strict=True)]
    assert found.fixed_macs + sum(option.macs for option in placed) == entry.macs
    return tuple(option.block for option in placed if option.block is not None)


class TestEveryEntry:
    @pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
    def test_is_a_network_whose_macs_are_those_shown(self, space: SearchSpace) -> None:
        reported = history(*range(6), derived=99, space=space)
        found = history_of(reported)
        assert found.derived is not None
        for each, entry in zip(reported, [*found.epochs, found.derived], strict=True):
            assert chosen_blocks(found, entry) == each.arch.blocks
            assert space.contains(each.arch)
            assert entry.macs == count_macs(each.arch).total
            decoded = arch_string.decode(arch_string.encode(each.arch))
            assert (decoded.arch_id, count_macs(decoded).total) == (entry.arch_id, entry.macs)

    @pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
    def test_has_the_positions_of_the_supernet(self, space: SearchSpace) -> None:
        found = history_of(history(1, 2, 3, space=space))
        assert [each.position for each in found.positions] == [*range(1, len(space.blocks) + 1)]
        assert [each.in_size for each in found.positions] == list(space.sizes[:-1])
        compared = [layer.place for layer in aligned_layers([space.largest()])]
        assert [each.place for each in found.positions] == compared[1:-1]  # without stem and head
        gates = [(place, kind.name, kind.title) for place, c in enumerate(space.blocks, 1) for kind in gates_of(c)]
        assert [(gate.position, gate.name, gate.title) for gate in found.gates] == gates

    def test_says_how_likely_gates_are_open(self) -> None:
        first, second = history_of(history(1, 2)).epochs
        assert first.gates == tuple(round(value, 4) for value in gates_at(1).values())
        assert second.gates != first.gates

    def test_of_a_real_search_is_the_network_that_it_reported(
        self, uninterrupted: tuple[SearchResult, Recorder]
    ) -> None:
        result, recorder = uninterrupted
        values = {epoch: dict(point) for phase, epoch, point in recorder.points if phase == "searching"}
        at = network(1, options_of(0), {}).at
        reported = [
            ReportedNetwork(
                place.epoch,
                1,
                at,
                ArchSpec.from_json(record.arch),
                place.skipped,
                record.val_top1_pct,
                values.get(place.epoch or 0, {}),
            )
            for record, place in recorder.places
        ]
        found = history_of(reported)
        assert [entry.epoch for entry in found.epochs] == [1, 2]
        assert len(found.gates) == sum(name.startswith("gate/") for name in values[1]) > 10
        for (record, _), entry in zip(recorder.places, [*found.epochs, found.derived], strict=True):
            assert entry is not None
            assert (entry.arch_id, entry.macs) == (record.arch_id, record.macs)
            assert chosen_blocks(found, entry) == ArchSpec.from_json(record.arch).blocks
        assert found.derived is not None
        assert found.derived.arch_id == result.architecture.arch_id


class TestWhatChanged:
    def test_is_listed_by_position(self) -> None:
        options = options_of(4)
        other = same_but_for(options, 3)
        reported = [network(epoch, each, {}) for epoch, each in enumerate([options, options, other], 1)]
        found = history_of([*reported, network(None, options, {})])
        assert found.derived is not None
        assert [entry.changed for entry in found.epochs] == [(), (), (3,)]
        assert found.derived.changed == (3,)
        assert len(found.positions[2].options) == 2
        assert [len(each.options) for each in found.positions if each.position != 3] == [1] * (len(options) - 1)

    def test_an_attempt_that_resumes_replaces_what_it_repeats(self) -> None:
        before = history(1, 2, 3, derived=9)
        again = [replace(each, attempt=2) for each in history(7, 4)[1:]]
        found = history_of([*before, *again])
        assert [(entry.epoch, entry.attempt) for entry in found.epochs] == [(1, 1), (2, 2)]
        assert found.derived is None

    def test_there_is_none_without_an_epoch(self) -> None:
        assert history_of([]) == NO_HISTORY
        assert history_of([network(None, options_of(1), {})]) == NO_HISTORY


class TestWhatIsSaid:
    def test_nothing_where_the_entries_speak_for_themselves(self) -> None:
        assert note_of(history_of(history(1, 2)), epochs=2, is_over=True) is None

    def test_why_there_are_no_epochs(self) -> None:
        assert "learns nothing about them" in str(note_of(NO_HISTORY, epochs=0, is_over=True))
        assert "has not ended yet" in str(note_of(NO_HISTORY, epochs=2, is_over=False))
        assert "an earlier version ran it" in str(note_of(NO_HISTORY, epochs=2, is_over=True))

    def test_that_only_gates_moved(self) -> None:
        reported = [network(epoch, options_of(1), {"gate/0.kernel": p}) for epoch, p in ((1, 0.5), (2, 0.62))]
        assert "no gate moved by more than 12.0 points" in str(note_of(history_of(reported), epochs=2, is_over=True))

    def test_that_there_was_a_single_epoch(self) -> None:
        assert "only one epoch" in str(note_of(history_of(history(1)), epochs=1, is_over=False))
        assert "the one after the only epoch" in str(note_of(history_of(history(1, derived=1)), epochs=1, is_over=True))
        assert note_of(history_of(history(1, derived=2)), epochs=1, is_over=True) is None

    def test_that_an_earlier_version_began_the_search(self) -> None:
        found = history_of(history(1, 2, 3)[1:])
        assert "Known from epoch 2 on" in str(note_of(found, epochs=3, is_over=True))


def test_options_have_short_names() -> None:
    assert option_name(None) == "skipped"
    assert option_name(BlockSpec(8, 8, 1, 5, 6)) == "k5 e6"
    assert option_name(BlockSpec(8, 8, 1, 3, 3, light_nl=LightNLSpec(0.25, 1))) == "k3 e3 NL 0.25 s1"
