"""Inline SVG of matplotlib figures, with colours and font of the page, for light and dark. As wide as a phone."""

import io
import re

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH, HEIGHT = 360, 230  # in CSS pixels
LINE = 15  # pixels per line of text

# Placeholder colours, which `inline` replaces with variables of the style sheet.
COLOURS = {"#000001": "ink", "#000002": "muted", "#000003": "rule", "#000004": "series-1", "#000005": "series-2"}
INK, MUTED, RULE, FIRST, SECOND = COLOURS
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


def axes(name: str, left: int, right: int, top: int = 10, bottom: int = 42) -> tuple[Figure, Axes]:
    """A figure with one chart and margins in pixels. Call within `matplotlib.rc_context`."""
    matplotlib.rcdefaults()  # a user's matplotlibrc must not change the page
    matplotlib.rcParams.update({**STYLE, "svg.hashsalt": name})
    figure = Figure((WIDTH / 72, HEIGHT / 72), dpi=72)  # at 72 dpi a point is a pixel
    return figure, figure.add_axes(
        (left / WIDTH, bottom / HEIGHT, (WIDTH - left - right) / WIDTH, (HEIGHT - bottom - top) / HEIGHT),
        facecolor="none",
    )


def label_ends(within: Axes, ends: dict[str, tuple[float, str]]) -> None:
    """Label each line at its end, without overlaps."""
    within.autoscale_view()  # the labels need the final scale
    to_pixels = within.transData.transform
    heights = {label: to_pixels((0, value))[1] for label, (value, _) in ends.items()}
    order = sorted(ends, key=heights.__getitem__)
    for below, above in zip(order, order[1:], strict=False):
        heights[above] = max(heights[above], heights[below] + LINE)
    top = within.bbox.y1
    for above in reversed(order):
        heights[above], top = min(heights[above], top), min(heights[above], top) - LINE
    for label, (_, colour) in ends.items():
        place = (heights[label] - within.bbox.y0) / within.bbox.height
        within.annotate(
            label, (1, place), (8, 0), xycoords="axes fraction", textcoords="offset points", color=colour, va="center"
        )


def inline(figure: Figure, name: str, title: str) -> Markup:
    """The figure as an `<svg>` within HTML: no prologue or metadata, unique ids, colours of the page."""
    figure.patch.set_visible(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    content = buffer.getvalue().partition("<svg")[2].partition(">")[2]
    content = re.sub(r"(<metadata>.*?</metadata>|<!--.*?-->)\s*", "", content, flags=re.DOTALL)
    content = re.sub(r'\bid="', f'id="{name}-', content)
    content = content.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for placeholder, variable in COLOURS.items():
        content = content.replace(placeholder, f"var(--{variable})")
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-title">'
    return Markup(f'{head}\n<title id="{name}-title">{escape(title)}</title>{content}')


def short(value: float, _: int = 0) -> str:
    """12k, 1.5M: short enough for an axis."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, 1e4):
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}"
