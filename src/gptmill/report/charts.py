"""Charts as inline SVG, by matplotlib.

Their colours are variables of the page's style sheet and their text is in the page's font, so that one drawing serves light and dark. They
are drawn as wide as a phone, so that no text has to shrink.
"""

import io
import re
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gptmill.report.inputs import Point
from gptmill.report.lengths import Bar

WIDTH, HEIGHT = 360, 230  # in CSS pixels
MOST_TICKS = 7  # labels below a chart, so that they do not touch
LINE = 15  # a line of text needs so many pixels

# Placeholders that matplotlib takes for colours; `_inline` puts the style sheet's variables in their place.
COLOURS = {"#000001": "ink", "#000002": "muted", "#000003": "rule", "#000004": "series-1", "#000005": "series-2"}
INK, MUTED, RULE, VALIDATION, TRAIN = COLOURS
STYLE = {
    "svg.fonttype": "none",
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 1,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.left": False,
    "lines.solid_capstyle": "round",
}


def loss(curve: Sequence[Point], name: str, title: str, reference: tuple[str, float] | None = None) -> Markup:
    """Training and validation loss by step, the kept weights as a dot. `reference`: the name and the loss of a simpler model."""
    lines = {"train": [point.train_loss for point in curve], "validation": [point.validation_loss for point in curve]}
    return _curve(curve, lines, name, title, lambda value, _: f"{value:g}", reference)


def accuracy(curve: Sequence[Point], name: str, title: str) -> Markup:
    """Training and validation accuracy by step, the kept weights as a dot."""
    lines = {"train": [point.train_accuracy for point in curve], "validation": [point.validation_accuracy for point in curve]}
    return _curve(curve, lines, name, title, lambda value, _: f"{value * 100:g}%")


def scores(values: Sequence[float], name: str, title: str) -> Markup:
    """How many answers got which score: a bar for ten points each, and one for exactly 100."""
    bars = [0] * 11
    for score in values:
        bars[int(score // 10)] += 1
    with matplotlib.rc_context():
        figure, axes = _axes(name, left=0, right=0)
        axes.bar(range(11), bars, width=0.82, color=VALIDATION)
        axes.set_xticks(range(11), [str(10 * i) for i in range(11)])
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel("score", loc="right")
        axes.grid(False)
        axes.set_yticks([])
        axes.set_ylim(0, max(bars, default=0) * 1.12 or 1)
        for place, count in enumerate(bars):
            if count:
                axes.annotate(str(count), (place, count), (0, 3), textcoords="offset points", ha="center", va="bottom")
        return _inline(figure, name, title)


def lengths(bars: Sequence[Bar], limit: tuple[str, int], name: str, title: str) -> Markup:
    """How many texts have how many tokens. `limit`: what cuts longer ones, and where; their bars have a colour of their own."""
    label, cut = limit
    edges = [bars[0].above, *(bar.up_to for bar in bars if bar.up_to is not None)]
    with matplotlib.rc_context():
        longer = bars[-1].up_to is None
        figure, axes = _axes(name, left=38, right=24, top=24)
        highest = max(bar.texts for bar in bars)
        # A bar that stands for something is seen, however small it is beside the highest.
        heights = [max(bar.texts, highest * 0.009) if bar.texts else 0 for bar in bars]
        # What is longer stands apart: it has no place on the scale.
        places = [place + (0.5 if bar.up_to is not None else 1.0) for place, bar in enumerate(bars)]
        axes.bar(places, heights, width=0.86, color=[TRAIN if bar.above >= cut else VALIDATION for bar in bars])
        axes.set_xlim(0, places[-1] + 0.5)
        axes.set_ylim(0, highest * 1.04)
        step = -(-len(edges) // MOST_TICKS)
        ticks = [(place, _short(edges[place])) for place in range(0, len(edges), step)]
        if longer:
            ticks = [tick for tick in ticks if tick[0] < len(edges) - step] + [(places[-1], f"> {_short(edges[-1])}")]
        axes.set_xticks(*zip(*ticks, strict=True))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(_short))
        axes.set_xlabel("tokens", loc="right")
        if longer or cut <= edges[-1]:
            place = float(np.interp(cut, edges, range(len(edges))))
            axes.axvline(place, color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
            side = "right" if place > 0.6 * axes.get_xlim()[1] else "left"
            axes.annotate(label, (place, 1), (0, 5), xycoords=("data", "axes fraction"), textcoords="offset points", color=MUTED, ha=side)
        return _inline(figure, name, title)


def _short(value: float, _: int = 0) -> str:
    """12k, 1.5M: as many characters as there is room for beside and below an axis."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, 1e4):
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}"


def _curve(
    points: Sequence[Point],
    lines: dict[str, list[float]],
    name: str,
    title: str,
    show: Callable[[float, int], str],
    reference: tuple[str, float] | None = None,
) -> Markup:
    steps = [point.step for point in points]
    with matplotlib.rc_context():
        figure, axes = _axes(name, left=38, right=74)
        colours = {"train": TRAIN, "validation": VALIDATION}
        for label, values in lines.items():
            wide = 2.2 if label == "validation" else 1.4
            axes.plot(steps, values, color=colours[label], linewidth=wide, marker="o", markersize=2.5 if len(steps) > 1 else 5)
        for step, value, point in zip(steps, lines["validation"], points, strict=True):
            if point.kept:
                axes.plot(step, value, "o", color=VALIDATION, markersize=8)
        ends = {label: (values[-1], colours[label]) for label, values in lines.items()}
        if reference:
            axes.axhline(reference[1], color=MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
            ends[reference[0]] = (reference[1], MUTED)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(show))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel("step", loc="right")
        _label_ends(axes, ends)
        return _inline(figure, name, title)


def _axes(name: str, left: int, right: int, top: int = 10) -> tuple[Figure, Axes]:
    """A figure with one chart, and so many pixels beside it for labels. To be called within `matplotlib.rc_context`."""
    matplotlib.rcdefaults()  # a matplotlibrc of the user's own must not change the page
    matplotlib.rcParams.update({**STYLE, "svg.hashsalt": name})
    figure = Figure((WIDTH / 72, HEIGHT / 72), dpi=72)  # SVG counts 72 points an inch: a point here is a pixel there
    bottom = 42
    return figure, figure.add_axes(
        (left / WIDTH, bottom / HEIGHT, (WIDTH - left - right) / WIDTH, (HEIGHT - bottom - top) / HEIGHT), facecolor="none"
    )


def _label_ends(axes: Axes, ends: dict[str, tuple[float, str]]) -> None:
    """Name each line where it ends; labels that would touch are moved apart."""
    axes.autoscale_view()  # matplotlib puts this off until it draws; the labels need the final scale now
    to_pixels = axes.transData.transform
    heights = {label: to_pixels((0, value))[1] for label, (value, _) in ends.items()}
    order = sorted(ends, key=heights.__getitem__)
    for below, above in zip(order, order[1:], strict=False):
        heights[above] = max(heights[above], heights[below] + LINE)
    top = axes.bbox.y1
    for above in reversed(order):
        heights[above], top = min(heights[above], top), min(heights[above], top) - LINE
    for label, (_, colour) in ends.items():
        place = (heights[label] - axes.bbox.y0) / axes.bbox.height
        axes.annotate(label, (1, place), (8, 0), xycoords="axes fraction", textcoords="offset points", color=colour, va="center")


def _inline(figure: Figure, name: str, title: str) -> Markup:
    """The figure as an `<svg>` for the middle of an HTML page: no prologue, no metadata, ids of its own, colours from the page."""
    figure.patch.set_visible(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    _, _, drawing = buffer.getvalue().partition("<svg")
    _, _, drawing = drawing.partition(">")
    drawing = re.sub(r"<metadata>.*?</metadata>\s*", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"<!--.*?-->\s*", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\bid="', f'id="{name}-', drawing)
    drawing = drawing.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for placeholder, variable in COLOURS.items():
        drawing = drawing.replace(placeholder, f"var(--{variable})")
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title">'
    return Markup(f'{head}\n<title id="{name}-title">{escape(title)}</title>{drawing}')
