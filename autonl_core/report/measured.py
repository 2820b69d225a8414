"""The networks that a search measured: accuracy beside what else they cost, since their MACs are nearly equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autonl_core.report.canvas import LIGHT, Picture, draw, in_percent, in_thousands
from autonl_core.report.facts import PictureFacts
from autonl_core.spec.measured_network import MeasuredNetwork

_KINDS = (  # origins, colour, title
    (("random",), "soft", "random"),
    (("uniform", "widest"), "second", "uniform, widest"),
    (("without_light_nl",), "third", "best without LightNL"),
    (("by_slopes", "by_scores", "drawn"), "main", "by the search"),
)
_COSTS: tuple[tuple[str, Callable[[MeasuredNetwork], int]], ...] = (
    ("parameters", lambda network: network.params),
    ("peak activation memory in bytes, one image", lambda network: network.peak_activation_bytes),
)


def picture_of_measured(facts: PictureFacts) -> Picture | None:
    """Top-1 on the shared weights against parameters and against memory; None: the networks were not kept."""
    networks = facts.architecture.comparison.networks
    if not networks:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, 2, sharey=True)
        for panel, (title, cost) in zip(axes, _COSTS, strict=True):
            _scatter(panel, networks, cost, facts.architecture.arch_string)
            panel.set_xlabel(title)
            panel.xaxis.set_major_locator(MaxNLocator(nbins=5))
            in_thousands(panel.xaxis)
        axes[0].set_title("Measured networks, all within the budget")
        axes[0].set_ylabel("top-1, validation images")
        in_percent(axes[0].yaxis, 100)
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=5, loc="outside lower center")

    alt = "scatter plots: top-1 with shared weights of every measured network, against parameters and memory"
    return draw("measured", alt, (8.4, 3.3), paint)


def _scatter(
    panel: Axes, networks: Sequence[MeasuredNetwork], cost: Callable[[MeasuredNetwork], int], chosen: str
) -> None:
    """One point for every network; the one with the arch string `chosen` in a circle."""
    for origins, colour, title in _KINDS:
        kind = [network for network in networks if network.origin in origins]
        if kind:
            top1 = [network.val_top1_pct for network in kind]
            panel.scatter([cost(network) for network in kind], top1, s=16, color=LIGHT[colour], label=title)
    circled = [network for network in networks if network.arch_string == chosen]
    panel.scatter(
        [cost(network) for network in circled],
        [network.val_top1_pct for network in circled],
        s=90,
        facecolors="none",
        edgecolors=LIGHT["bad"],
        linewidths=1.4,
        label="chosen",
    )
