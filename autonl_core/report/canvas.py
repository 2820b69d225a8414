"""What all pictures of a report are drawn on: colours, style, and an SVG in a light and a dark variant.

Each picture is drawn once, in the colours of `LIGHT`; the dark variant is the same text with other colours.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from autonl_core.report.figures import short

LIGHT = {"ink": "#17211f", "soft": "#566562", "line": "#dce2e0", "main": "#0f766e", "second": "#d97706",
         "third": "#3b5ba5", "bad": "#b42318", "fourth": "#7a4fa3"}  # fmt: skip
DARK = {"ink": "#e6edeb", "soft": "#9aaba7", "line": "#2b3734", "main": "#2dbfae", "second": "#f0a93b",
        "third": "#8fabf0", "bad": "#ff8a7e", "fourth": "#c19be6"}  # fmt: skip
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "autonl",
    "svg.fonttype": "none",  # text stays text: small, sharp, in a font of the reader's system
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["soft"],
    "axes.edgecolor": LIGHT["line"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.6,
    "xtick.color": LIGHT["soft"],
    "ytick.color": LIGHT["soft"],
    "legend.frameon": False,
    "legend.labelcolor": LIGHT["ink"],
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "text.parse_math": False,
}
COLOURS = ("main", "second", "third", "fourth", "bad", "soft")  # of curves, in this order
_FEW_POINTS = 40  # of a curve; up to this many, each has a marker


@dataclass(frozen=True)
class Picture:
    """An SVG in a light and a dark variant, with alternative text."""

    name: str
    svg: str
    alt: str

    @property
    def light_uri(self) -> str:
        return _data_uri(self.svg)

    @property
    def dark_uri(self) -> str:
        dark = self.svg
        for name, colour in LIGHT.items():
            dark = dark.replace(colour, DARK[name])
        return _data_uri(dark)


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def draw(name: str, alt: str, size: tuple[float, float], paint: Callable[[Figure], None]) -> Picture:
    """A picture that `paint` draws on a figure of `size` inches."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    svg = out.getvalue()
    return Picture(name, svg[svg.index("<svg") :], alt)


def whole_steps(axis: Axis, most: int = 8) -> None:
    """Ticks at whole numbers, `most` of them or fewer."""
    axis.set_major_locator(MaxNLocator(integer=True, nbins=most))


def in_percent(axis: Axis, whole: float = 1) -> None:
    """Ticks in percent of `whole`, as exact as they are placed: "2.5%"."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value / whole:.6g}%"))


def in_thousands(axis: Axis) -> None:
    """Ticks with k, M or G, as exact as they are placed: "12.25M"."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value, digits=6)))


def curve(panel: Axes, points: tuple[Sequence[float], Sequence[float]], colour: str, label: str) -> None:
    """One line with its entry in the legend; without a point, neither."""
    xs, ys = points
    if len(xs):
        marker = "o" if len(xs) < _FEW_POINTS else ""
        panel.plot(xs, ys, color=LIGHT[colour], label=label, marker=marker, markersize=3)


def legend(panel: Axes) -> None:
    """A legend, if there is anything to name."""
    if panel.get_legend_handles_labels()[0]:
        panel.legend()
