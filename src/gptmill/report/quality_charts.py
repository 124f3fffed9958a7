"""Reliability diagram and precision-recall curve of a classifier, as inline SVG."""

from collections.abc import Sequence

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gptmill.evaluation import statistics
from gptmill.evaluation.calibration import Bin
from gptmill.evaluation.precision_recall import Curve
from gptmill.report import svg

_LEFT, _RIGHT = 44, 16  # margins in pixels
DIGIT = 7  # pixels
_COUNTS = 52  # pixels: height of the histogram below the diagram


def reliability(bins: Sequence[Bin], name: str, title: str) -> Markup:
    """Accuracy against confidence, a dot with its 95% interval per bin; below, a histogram of the texts."""
    with matplotlib.rc_context():
        figure, axes = svg.axes(name, _LEFT, _RIGHT, bottom=42 + _COUNTS)
        low, high = min(0.5, *(part.low for part in bins)), 1.0
        axes.plot([0, 1], [0, 1], color=svg.MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
        # No line between dots: it would give bins of two texts and of a thousand the same weight.
        intervals = [statistics.share_interval(round(part.accuracy * part.count), part.count) for part in bins]
        for part, (worst, best) in zip(bins, intervals, strict=True):
            axes.plot([part.confidence] * 2, [worst, best], color=svg.FIRST, linewidth=1.4)
            axes.plot(part.confidence, part.accuracy, "o", color=svg.FIRST, markersize=6)
        bottom = min(low, *(worst for worst, _ in intervals))
        axes.set_ylim(max(0.0, bottom - 0.04), 1.04)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.set_xlim(low, high)
        axes.tick_params(axis="x", labelbottom=False, length=0)
        counts = figure.add_axes(_below(axes), facecolor="none")
        most = max(part.count for part in bins)
        for part in bins:
            # Any count is visible, however small beside the highest.
            middle, height = (part.low + part.high) / 2, max(part.count, most * 0.02)
            counts.bar(middle, height, width=0.82 * (part.high - part.low), color=svg.SECOND)
            label = svg.short(part.count)
            if DIGIT * len(label) > (part.high - part.low) / (high - low) * (svg.WIDTH - _LEFT - _RIGHT):
                continue  # too wide; the table has it
            counts.annotate(label, (middle, height), (0, 2), textcoords="offset points", ha="center", va="bottom")
        counts.set_xlim(low, high)
        counts.set_ylim(0, most * 2)
        counts.set_yticks([])
        counts.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        counts.xaxis.set_major_formatter(FuncFormatter(_percent))
        counts.set_xlabel("confidence; bars: texts", loc="right")
        return svg.inline(figure, name, title)


def precision_recall(
    curves: Sequence[Curve], name: str, title: str, operating_point: tuple[float, float] | None = None
) -> Markup:
    """A line per curve, thin where there are several. `operating_point`: recall and precision of the labels, a dot."""
    with matplotlib.rc_context():
        figure, axes = svg.axes(name, _LEFT, _RIGHT)
        alone = len(curves) == 1
        for curve in curves:
            # Steps, as average precision is defined.
            axes.step(curve.recall, curve.precision, where="pre", color=svg.FIRST, linewidth=2.2 if alone else 1.2)
        if alone:
            axes.axhline(curves[0].share, color=svg.MUTED, linewidth=1.4, linestyle=(0, (4, 3)))
            place = (0.01, curves[0].share)
            axes.annotate("guessing", place, (0, -3), textcoords="offset points", color=svg.MUTED, va="top")
        if operating_point:
            axes.plot(*operating_point, "o", color=svg.FIRST, markersize=8, clip_on=False)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.04)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(FuncFormatter(_percent))
        axes.annotate(
            "precision",
            (0, 1),
            (0, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=svg.MUTED,
            va="bottom",
        )
        axes.set_xlabel("recall", loc="right")
        return svg.inline(figure, name, title)


def _below(axes: Axes) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of the histogram, as shares of the figure."""
    box = axes.get_position()
    return box.x0, 42 / svg.HEIGHT, box.width, (_COUNTS - 8) / svg.HEIGHT


def _percent(value: float, _: int = 0) -> str:
    return f"{value * 100:g}%"
