"""Matplotlib figures as inline SVG that follows the page: its width, its font, light or dark."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

# Colours that are replaced by the page's own; everything else has to be readable on white and on black.
INK, FAINT = "#010203", "#040506"
CSS = {INK: "currentColor", FAINT: "var(--faint)"}
BLUE, ORANGE, GREEN, RED, GREY = "#3b82f6", "#f08c2e", "#22a06b", "#e5484d", "#8b93a1"
PURPLE, TEAL = "#a06cd5", "#14a3b8"
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, TEAL)
MOST_POINTS = 2000  # of a scatter plot: more are thinned evenly
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vloc",  # the same figure, the same text
    "font.size": 9.5,
    "font.family": "sans-serif",
    "text.color": INK,
    "text.parse_math": False,  # a name may hold a $
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "path.simplify": True,
}
WIDTH = 4.8  # inches: letters stay readable when a figure is as wide as a phone
# Up to so many decades -> where a logarithmic axis has numbers; none: wherever it is as good as linear.
LOG_STEPS = {0.3: (), 0.7: (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), 1.5: (1.0, 2.0, 5.0), 2.5: (1.0, 3.0), math.inf: (1.0,)}
METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_numbers = count(1)


@contextmanager
def plotting() -> Iterator[None]:
    """Inside, new figures have the page's style."""
    with mpl.rc_context(STYLE):
        yield


def axes_of(
    height: float = 3.2, rows: int = 1, columns: int = 1, *, sharex: bool = False, heights: Sequence[float] = ()
) -> tuple[Figure, list[Axes]]:
    """A new figure, its height in inches, and its axes, row by row; `heights` of the rows if they are not the same."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=sharex, height_ratios=heights or None)
    return figure, list(axes.flat)


def logarithmic(axes: Axes, name: Literal["x", "y"]) -> None:
    """Make the axis of that name logarithmic, with few and plain numbers, fewer for the wider range that is shown."""
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    steps = next(steps for most, steps in LOG_STEPS.items() if decades <= most)
    axis.set_major_locator(LogLocator(subs=steps, numticks=9) if steps else MaxNLocator(4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def thinned(points: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.float64]:
    """At most so many of the rows, evenly spread."""
    return points[:: max(1, math.ceil(len(points) / most))]


def to_svg(figure: Figure, title: str) -> str:
    """The figure as an <svg> element of the width of whatever holds it; no id in it occurs in another one."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata=METADATA)
    svg = buffer.getvalue()[buffer.getvalue().index("<svg") :]
    prefix = f"p{next(_numbers)}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}", svg)
    for colour, replacement in CSS.items():
        svg = svg.replace(colour, replacement)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"(\d\.\d\d)\d+", r"\1", svg)  # hundredths of a point are enough
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
