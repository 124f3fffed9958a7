"""The page about a judge's agreement with given scores: reports/agreement.html."""

from collections.abc import Mapping
from typing import Any

from gptmill.report import templates
from gptmill.report.external import MEASURES


def render(found: Mapping[str, Any]) -> str:
    """The page for what `evaluation.agreement.measure` gives. All that a file or a judge said is escaped."""
    rows = [
        (title, *(_written(found[f"{name}{end}"]) for end in ("", "_low", "_high"))) for name, title in MEASURES.items()
    ]
    in_sample = found["in_sample"]
    return templates.render(
        "agreement.html.jinja",
        found=found,
        rows=rows,
        in_sample=[(title, _written(in_sample[name])) for name, title in MEASURES.items()] if in_sample else [],
    )


def _written(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
