"""The pictures of a report, drawn by matplotlib as SVG: equal facts give equal bytes.

No user-supplied names are drawn: they could contain glyphs that the font lacks, or text that is parsed as a formula.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from autonl_core.report.canvas import (
    COLOURS,
    LIGHT,
    Picture,
    curve,
    draw,
    in_percent,
    in_thousands,
    legend,
    whole_steps,
)
from autonl_core.report.comparison import title_of
from autonl_core.report.facts import PictureFacts
from autonl_core.report.figures import short
from autonl_core.report.measured import picture_of_measured
from autonl_core.spec.gate_kinds import GATE_KINDS
from autonl_core.wording.evidence import wilson_pct

_GATE_COLUMNS = 4  # heat maps in a row: with more, titles would touch
_GATES = {kind.name: kind.title for kind in GATE_KINDS}


def draw_all(facts: PictureFacts) -> dict[str, Picture]:
    """All pictures that `facts` has data for, by name."""
    drawn = (
        _cost(facts),
        _search(facts),
        _gates(facts),
        picture_of_measured(facts),
        _training(facts),
        _baselines(facts),
        _confidence(facts),
    )
    return {picture.name: picture for picture in drawn if picture is not None}


def _cost(facts: PictureFacts) -> Picture:
    """Shares of MACs and time by layer, with the part of LightNL in its own colour."""
    layers = facts.architecture.layers
    macs = np.array([layer.macs for layer in layers]) / facts.architecture.macs
    times = np.array([layer.time_ms for layer in layers])
    total_ms = max(1e-9, float(times.sum()))
    nl_macs = np.array([layer.light_nl_macs for layer in layers]) / facts.architecture.macs
    nl_times = np.array([min(layer.light_nl_ms, layer.time_ms) for layer in layers]) / total_ms

    def paint(figure: Figure) -> None:
        axes = figure.subplots(2, 1, sharex=True)
        at = np.arange(len(layers))
        for panel, shares, nl_shares, title in (
            (axes[0], macs, nl_macs, f"Share of {short(facts.architecture.macs)} MACs"),
            (axes[1], times / total_ms, nl_times, f"Share of {total_ms:.2f} ms (eager, one image)"),
        ):
            panel.bar(at, shares - nl_shares, 0.72, color=LIGHT["main"], label="layer")
            if nl_macs.any():
                panel.bar(
                    at, nl_shares, 0.72, bottom=shares - nl_shares, color=LIGHT["second"], label="of which LightNL"
                )
            panel.set_title(title)
            in_percent(panel.yaxis)
            panel.grid(axis="x", visible=False)
        if nl_macs.any():
            axes[0].legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 0.97))
        names = [layer.name.removeprefix("block ") for layer in layers]
        axes[1].set_xticks(at, names, rotation=90 if len(names) > 14 else 0)
        axes[1].set_xlabel("layer")

    alt = "bar charts: the share of each layer in MACs and in measured time, and the part of LightNL in each"
    return draw("cost", alt, (8.4, 4.2), paint)


def _search(facts: PictureFacts) -> Picture | None:
    """Loss, accuracy, MACs against the budget, multiplier and gate entropy, by epoch of the supernet."""
    if not facts.history.of("searching"):
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots(2, 2)
        for panel, title, curves in (
            (axes[0, 0], "Cross-entropy", (("loss", "training"), ("val_loss", "validation"))),
            (axes[0, 1], "Top-1 of the derived network", (("val_top1_pct", "validation, supernet weights"),)),
            (axes[1, 0], "MACs of one image", (("expected_macs", "expected"), ("derived_macs", "derived network"))),
            (
                axes[1, 1],
                "Gate entropy and slope agreement",
                (("gate_entropy", "entropy, bits per gate"), ("slope_agreement", "agreement, correlation")),
            ),
        ):
            for (name, label), colour in zip(curves, COLOURS, strict=False):
                curve(panel, facts.history.curve("searching", name), colour, label)
            panel.set_title(title)
            whole_steps(panel.xaxis)
        in_percent(axes[0, 1].yaxis, 100)
        axes[1, 0].axhline(facts.budget_macs, color=LIGHT["bad"], linestyle="--", linewidth=1.1, label="budget")
        in_thousands(axes[1, 0].yaxis)
        for panel in axes.flat:
            legend(panel)
        for panel in axes[1]:
            panel.set_xlabel("supernet epoch")

    alt = "curves over the search: loss, accuracy, expected MACs against the budget, gate entropy, agreement of slopes"
    return draw("search", alt, (8.4, 5.0), paint)


def _gates(facts: PictureFacts) -> Picture | None:
    """The probability that each gate is open, by epoch, one panel per kind of gate."""
    points = facts.history.of("searching")
    names = [name for name in (points[-1].values if points else ()) if name.startswith("gate/")]
    if not names:
        return None
    kinds = list(dict.fromkeys(name.partition(".")[2] for name in names))
    epochs = [point.epoch for point in points]
    positions = 1 + max(int(name[5:].partition(".")[0]) for name in names)
    columns = min(len(kinds), _GATE_COLUMNS)
    rows = math.ceil(len(kinds) / columns)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel, kind in zip(panels.flat, kinds, strict=False):
            table = np.full((positions, len(points)), np.nan)
            for name in names:
                position, _, gate_kind = name[5:].partition(".")
                if gate_kind == kind:
                    table[int(position)] = [point.values.get(name, np.nan) for point in points]
            extent = (epochs[0] - 0.5, epochs[-1] + 0.5, positions + 0.5, 0.5)  # positions count from 1
            shown = panel.imshow(
                table, aspect="auto", vmin=0, vmax=1, cmap="viridis", interpolation="none", extent=extent
            )
            panel.set_title(_GATES.get(kind, kind), fontsize=8)
            panel.grid(visible=False)
            whole_steps(panel.xaxis, 4)
            whole_steps(panel.yaxis)
        for unused in panels.flat[len(kinds) :]:
            unused.set_visible(False)
        figure.supxlabel("epoch", fontsize=9, color=LIGHT["soft"])
        figure.supylabel("block of the supernet", fontsize=9, color=LIGHT["soft"])
        figure.colorbar(shown, ax=panels, label="probability of being open", pad=0.01)

    alt = "heat maps: the probability of every gate by epoch of the search"
    return draw("gates", alt, (8.4, 1.2 + 2.0 * rows), paint)


def _training(facts: PictureFacts) -> Picture | None:
    """Loss and accuracy of the chosen network and the baselines during training."""
    if not facts.history.of("training"):
        return None
    networks = [("", "chosen network")]
    networks += [(f"{b.name}/", title_of(b)) for b in facts.baselines]

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, 2)
        for (prefix, title), colour in zip(networks, COLOURS * 2, strict=False):
            for panel, name in zip(axes, ("loss", "train_top1_pct"), strict=True):
                curve(panel, facts.history.curve("training", prefix + name), colour, title)
        axes[0].set_title("Cross-entropy, augmented training images")
        axes[1].set_title("Top-1, augmented training images")
        in_percent(axes[1].yaxis, 100)
        for panel in axes:
            whole_steps(panel.xaxis)
            panel.set_xlabel("epoch")
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=2, loc="outside lower center")

    return draw("training", "curves of loss and accuracy by epoch of training", (8.4, 3.3), paint)


def _baselines(facts: PictureFacts) -> Picture | None:
    """Test top-1 with intervals; the result comes first, then the baselines."""
    scored = [b for b in facts.baselines if b.test_correct is not None]
    if not scored:
        return None
    images = facts.test.images
    counts = [facts.test.correct, *(b.test_correct or 0 for b in scored)]
    titles = ["found by this search", *(title_of(b) for b in scored)]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (correct, title) in enumerate(zip(counts, titles, strict=True)):
            low, high = wilson_pct(correct, images)
            top1 = 100 * correct / images
            colour = LIGHT["main"] if place == 0 else LIGHT["soft"]
            axes.errorbar(top1, place, xerr=[[top1 - low], [high - top1]], color=colour, marker="o", capsize=3)
            label = f"{title}: {top1:.1f}%"
            axes.annotate(label, (top1, place), (0, 7), textcoords="offset points", ha="center", color=colour)
        axes.set_yticks([])
        axes.set_ylim(len(counts) - 0.4, -0.7)
        axes.margins(x=0.25)
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in axes.get_xticks() if 0 <= tick <= 100]))
        in_percent(axes.xaxis, 100)
        axes.set_xlabel(f"top-1 on {images:,} test images, with 95% intervals")

    alt = "test accuracy of the result and of the baselines, with intervals"
    return draw("baselines", alt, (8.4, 0.9 + 0.55 * len(counts)), paint)


def _confidence(facts: PictureFacts) -> Picture:
    """Confidence of correct and wrong predictions, and accuracy by confidence."""
    correct = facts.test.labels == facts.test.predicted
    confidence = facts.test.confidence
    edges = np.linspace(0, 1, 11)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, 2)
        axes[0].hist([confidence[correct], confidence[~correct]], edges, stacked=True,
                     color=[LIGHT["main"], LIGHT["bad"]], label=["correct", "wrong"])  # fmt: skip
        axes[0].set_title("Test images by confidence")
        axes[0].legend(loc="upper left")
        bins = np.clip(np.digitize(confidence, edges) - 1, 0, 9)
        seen = np.bincount(bins, minlength=10)
        used = np.flatnonzero(seen)
        accuracy = np.bincount(bins, weights=correct, minlength=10)[used] / seen[used]
        mean_confidence = np.bincount(bins, weights=confidence, minlength=10)[used] / seen[used]
        axes[1].plot([0, 1], [0, 1], color=LIGHT["soft"], linewidth=1, linestyle="--", label="perfectly calibrated")
        axes[1].plot(mean_confidence, accuracy, color=LIGHT["main"], marker="o", markersize=4, label="this network")
        axes[1].set_title("Accuracy by confidence")
        axes[1].legend(loc="lower right")
        in_percent(axes[1].yaxis)
        for panel in axes:
            panel.set_xlabel("confidence")
            in_percent(panel.xaxis)

    return draw("confidence", "histogram of confidence, and a reliability diagram", (8.4, 2.9), paint)
