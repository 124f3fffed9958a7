"""What all charts share: a figure by matplotlib, as inline SVG that takes its colours and its font from the page.

One drawing serves light and dark. It is drawn as wide as a phone, so that no text has to shrink.
"""

import io
import re

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH, HEIGHT = 360, 230  # in CSS pixels
LINE = 15  # a line of text needs so many pixels

# Placeholders that matplotlib takes for colours; `inline` puts the style sheet's variables in their place.
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
    """A figure with one chart, and so many pixels beside it for labels. To be called within `matplotlib.rc_context`."""
    matplotlib.rcdefaults()  # a matplotlibrc of the user's own must not change the page
    matplotlib.rcParams.update({**STYLE, "svg.hashsalt": name})
    figure = Figure((WIDTH / 72, HEIGHT / 72), dpi=72)  # SVG counts 72 points an inch: a point here is a pixel there
    return figure, figure.add_axes(
        (left / WIDTH, bottom / HEIGHT, (WIDTH - left - right) / WIDTH, (HEIGHT - bottom - top) / HEIGHT),
        facecolor="none",
    )


def label_ends(within: Axes, ends: dict[str, tuple[float, str]]) -> None:
    """Name each line where it ends; labels that would touch are moved apart."""
    within.autoscale_view()  # matplotlib puts this off until it draws; the labels need the final scale now
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


def short(value: float, _: int = 0) -> str:
    """12k, 1.5M: as many characters as there is room for beside and below an axis."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, 1e4):
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}"
