"""Charts of training curves, scores and lengths, as inline SVG."""

from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gptmill.report import svg
from gptmill.report.inputs import Point
from gptmill.report.lengths import Bar

MOST_TICKS = 7  # labels below a chart without overlap
VALIDATION, TRAIN = svg.FIRST, svg.SECOND


def loss(curve: Sequence[Point], name: str, title: str, reference: tuple[str, float] | None = None) -> Markup:
    """Training and validation loss by step; a dot marks the saved weights. `reference`: name and loss of a baseline."""
    lines = {"train": [point.train_loss for point in curve], "validation": [point.validation_loss for point in curve]}
    return _curve(curve, lines, name, title, lambda value, _: f"{value:g}", reference)


def accuracy(curve: Sequence[Point], name: str, title: str) -> Markup:
    """Training and validation accuracy by step; a dot marks the saved weights."""
    lines = {
        "train": [point.train_accuracy for point in curve],
        "validation": [point.validation_accuracy for point in curve],
    }
    return _curve(curve, lines, name, title, lambda value, _: f"{value * 100:g}%")


def scores(values: Sequence[float], name: str, title: str, base: Sequence[float] = ()) -> Markup:
    """Histogram of scores: a bar per ten points, and one for 100. `base`: the base model's scores."""
    bars, others = _by_tens(values), _by_tens(base)
    with matplotlib.rc_context():
        figure, axes = svg.axes(name, left=30 if base else 0, right=0)
        wide = 0.41 if base else 0.82
        axes.bar([place - wide / 2 for place in range(11)] if base else range(11), bars, width=wide, color=VALIDATION)
        if base:
            axes.bar([place + wide / 2 for place in range(11)], others, width=wide, color=TRAIN)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(svg.short))
        else:
            axes.grid(False)
            axes.set_yticks([])
            for place, count in enumerate(bars):
                if count:
                    axes.annotate(
                        svg.short(count), (place, count), (0, 3), textcoords="offset points", ha="center", va="bottom"
                    )
        axes.set_xticks(range(11), [str(10 * i) for i in range(11)])
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel("score", loc="right")
        axes.set_ylim(0, max(bars + others, default=0) * 1.12 or 1)
        return svg.inline(figure, name, title)


def _by_tens(values: Sequence[float]) -> list[int]:
    counts = [0] * 11
    for score in values:
        counts[int(score // 10)] += 1
    return counts


def lengths(bars: Sequence[Bar], limit: tuple[str, int], name: str, title: str) -> Markup:
    """Histogram of lengths in tokens. `limit`: name and tokens; longer texts are in another colour."""
    label, cut = limit
    edges = [bars[0].above, *(bar.up_to for bar in bars if bar.up_to is not None)]
    with matplotlib.rc_context():
        longer = bars[-1].up_to is None
        figure, axes = svg.axes(name, left=38, right=24, top=24)
        highest = max(bar.texts for bar in bars)
        # Any count is visible, however small beside the highest.
        heights = [max(bar.texts, highest * 0.009) if bar.texts else 0 for bar in bars]
        # The last, open bar stands apart: it is not to scale.
        places = [place + (0.5 if bar.up_to is not None else 1.0) for place, bar in enumerate(bars)]
        axes.bar(places, heights, width=0.86, color=[TRAIN if bar.above >= cut else VALIDATION for bar in bars])
        axes.set_xlim(0, places[-1] + 0.5)
        axes.set_ylim(0, highest * 1.04)
        step = -(-len(edges) // MOST_TICKS)
        ticks = [(place, svg.short(edges[place])) for place in range(0, len(edges), step)]
        if longer:
            ticks = [tick for tick in ticks if tick[0] < len(edges) - step]
            ticks.append((places[-1], f"> {svg.short(edges[-1])}"))
        axes.set_xticks(*zip(*ticks, strict=True))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(svg.short))
        axes.set_xlabel("tokens", loc="right")
        if longer or cut <= edges[-1]:
            place = float(np.interp(cut, edges, range(len(edges))))
            axes.axvline(place, color=svg.MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
            side = "right" if place > 0.6 * axes.get_xlim()[1] else "left"
            axes.annotate(
                label,
                (place, 1),
                (0, 5),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=svg.MUTED,
                ha=side,
            )
        return svg.inline(figure, name, title)


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
        figure, axes = svg.axes(name, left=38, right=74)
        colours = {"train": TRAIN, "validation": VALIDATION}
        for label, values in lines.items():
            wide = 2.2 if label == "validation" else 1.4
            axes.plot(
                steps, values, color=colours[label], linewidth=wide, marker="o", markersize=2.5 if len(steps) > 1 else 5
            )
        for step, value, point in zip(steps, lines["validation"], points, strict=True):
            if point.kept:
                axes.plot(step, value, "o", color=VALIDATION, markersize=8)
        ends = {label: (values[-1], colours[label]) for label, values in lines.items()}
        if reference:
            axes.axhline(reference[1], color=svg.MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
            ends[reference[0]] = (reference[1], svg.MUTED)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(show))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel("step", loc="right")
        svg.label_ends(axes, ends)
        return svg.inline(figure, name, title)
