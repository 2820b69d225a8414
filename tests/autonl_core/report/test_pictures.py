"""Pictures of a report as they are laid out: nothing is cut, nothing lies on something else, ticks are exact."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from autonl_core.report import draw_all
from autonl_core.report.facts import Facts
from autonl_core.report.figures import short
from autonl_core.spec.gate_kinds import GATE_KINDS
from autonl_core.spec.history import History
from tests.autonl_core.report.example_facts import baseline, facts, rival

TOO_DEAR = "even at 64 pixels it takes 31,348,352 MACs, and the budget is 12,000,000"


def long_search() -> Facts:
    """All kinds of gates, and two baselines, one of which was not trained."""
    history = History()
    for epoch in range(1, 13):
        gates = {f"gate/{position}.{kind.name}": epoch / 12 for position in range(9) for kind in GATE_KINDS}
        macs = {"expected_macs": 17_750_000.0, "derived_macs": 12_250_000.0 - epoch}
        slopes = {"gate_entropy": 0.5, "slope_agreement": 0.1}
        history.add(
            "searching",
            epoch,
            epoch,
            {"loss": 1 / epoch, "val_loss": 1.0, "val_top1_pct": epoch} | macs | slopes | gates,
        )
        history.add("training", epoch, epoch, {"loss": 1 / epoch, "train_top1_pct": epoch})
        history.add("training", epoch, epoch, {"mobilenet_v2/loss": 1 / epoch, "mobilenet_v2/train_top1_pct": epoch})
    return facts(history=history, baselines=(baseline(30), rival("off-the-shelf", None, problem=TOO_DEAR)))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures behind the pictures, by name."""
    figures: list[Figure] = []
    save = Figure.savefig

    def watched(figure: Figure, *args: object, **kwargs: object) -> None:
        figures.append(figure)
        save(figure, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", watched)
    return dict(zip(draw_all(long_search()), figures, strict=True))


def fixed_texts(figure: Figure) -> list[Text]:
    """All shown texts but those of ticks: titles, names of axes, legends, notes."""
    found: list[Text] = [*figure.texts]
    legends = [*figure.legends]
    for axes in filter(lambda one: one.get_visible(), figure.axes):
        title: Text = axes._left_title  # type: ignore[attr-defined]
        found += [title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        if (legend := axes.get_legend()) is not None:
            legends.append(legend)
    found += [text for legend in legends for text in legend.get_texts()]
    return [text for text in found if text.get_text().strip()]


@pytest.mark.long
def test_no_text_is_cut_and_no_title_touches_another_text(drawn: dict[str, Figure]) -> None:
    seen = []
    for name, figure in drawn.items():
        figure.draw_without_rendering()
        shown = fixed_texts(figure)
        for text in shown:
            box = text.get_window_extent()
            assert -1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, (name, text.get_text())
        for first, second in itertools.combinations(shown, 2):
            together = first.get_window_extent().overlaps(second.get_window_extent())
            assert not together, (name, first.get_text(), second.get_text())
        seen += [text.get_text() for text in shown]
    assert {"LightNL ratio 0.25", "Gate entropy and slope agreement", "probability of being open"} <= set(seen)


@pytest.mark.long
def test_every_entry_of_a_legend_has_a_line(drawn: dict[str, Figure]) -> None:
    (legend,) = drawn["training"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["chosen network", "MobileNetV2"]
    for axes in drawn["training"].axes:
        assert [len(line.get_xdata()) for line in axes.lines] == [12, 12]  # type: ignore[arg-type]


@pytest.mark.long
def test_ticks_say_where_they_are(drawn: dict[str, Figure]) -> None:
    """Read back, a label is the place of its tick."""
    scale = {"%": 1.0, "k": 1e3, "M": 1e6}
    read = 0
    for figure in drawn.values():
        figure.draw_without_rendering()
        for axes in figure.axes:
            places = axes.get_yticks()
            for place, shown in zip(places, axes.yaxis.get_major_formatter().format_ticks(list(places)), strict=True):
                if shown and shown[-1] in scale:
                    value = float(shown[:-1]) * scale[shown[-1]]
                    wholes = (1.0, 100.0) if shown[-1] == "%" else (1.0,)
                    assert any(value == pytest.approx(whole * place, abs=1e-9) for whole in wholes), shown
                    read += 1
    assert read > 20


def test_more_digits_are_shown_where_three_are_too_few() -> None:
    assert (short(12_250_000), short(12_250_000, digits=6)) == ("12.2M", "12.25M")


@pytest.mark.long
def test_blocks_are_counted_from_one(drawn: dict[str, Figure]) -> None:
    example = facts()
    assert [layer.name for layer in example.architecture.layers][:3] == ["stem", "block 1", "block 2"]
    heat_map = drawn["gates"].axes[0].images[0]
    assert tuple(heat_map.get_extent()) == (0.5, 12.5, 9.5, 0.5)  # rows 1 to 9


def test_curves_without_points_are_no_curves() -> None:
    bare = History()
    bare.add("searching", 1, 1, {"loss": 1.0})
    assert "search" in draw_all(replace(facts(), history=bare))
