"""reports/agreement.html: a judge's agreement with given scores."""

from collections.abc import Mapping
from typing import Any

from gptmill.report import templates
from gptmill.report.external import MEASURES


def render(result: Mapping[str, Any]) -> str:
    """The page for the result of `evaluation.agreement.measure`. Texts of files and judges are escaped."""
    rows = [
        (title, *(_format(result[f"{name}{end}"]) for end in ("", "_low", "_high"))) for name, title in MEASURES.items()
    ]
    in_sample = result["in_sample"] and [
        (title, _format(result["in_sample"][name])) for name, title in MEASURES.items()
    ]
    return templates.render("agreement.html.jinja", result=result, rows=rows, in_sample=in_sample)


def _format(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
