"""What the extended report shows besides: it lies outside the graph, in the registry and in what a person measured, and may change any day.

Each file is optional. A tracked report that read them would not be the same bytes for the same inputs.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict

from gptmill.core import paths
from gptmill.report import schemas
from gptmill.report.schemas import Record

MEASURES = {  # name in the file: title
    "pearson": "Pearson",
    "spearman": "Spearman",
    "kendall": "Kendall's tau-b",
    "kappa": "Cohen's kappa, quadratic weights",
    "mae": "Mean absolute error, in points",
}


class Promotion(Record):
    """`.gptmill/promotion/<model>.json`, the last decision about a model: `gptmill promote` writes it.

    `figures`: what was measured, by name. `difference` among them is challenger less champion on the same test data, and `difference low`
    and `difference high` bound its paired interval.
    """

    model: str
    decision: str  # promoted, not promoted or refused
    reasons: list[str]
    figures: dict[str, float] = {}
    version: str = ""  # the challenger's; "" when it was a dry run
    champion: str = ""  # the version that it was compared with; "" when there was none

    @property
    def tone(self) -> str:
        return {"promoted": "ahead", "refused": "behind"}.get(self.decision, "level")


class Agreement(Record):
    """`reports/agreement.json`, how the judge agrees with scores that were given: `gptmill judge agreement` writes it.

    Each measure stands under its name, the ends of its 95% interval under that with `_low` and `_high`; None: not defined.
    """

    model_config = ConfigDict(extra="allow")

    judge: str
    against: str
    file: str
    judged: int
    failed: int
    note: str = ""

    @property
    def measures(self) -> list[tuple[str, float | None, float | None, float | None]]:
        """(title, value, low, high) of what was measured."""
        found = self.model_extra or {}
        return [
            (title, found[name], found.get(f"{name}_low"), found.get(f"{name}_high"))
            for name, title in MEASURES.items()
            if name in found
        ]


@dataclass(frozen=True)
class External:
    promotions: list[Promotion] = field(default_factory=list)
    agreement: Agreement | None = None


def read() -> External:
    """What there is of it. Raises `GptmillError` when a file is there and is not what it should be."""
    promotions = [_decision(path) for path in sorted(paths.PROMOTIONS.glob("*.json"))]
    agreement = (
        schemas.read_json(paths.AGREEMENT, Agreement, "gptmill judge agreement") if paths.AGREEMENT.exists() else None
    )
    return External(promotions, agreement)


def _decision(path: Path) -> Promotion:
    return schemas.read_json(path, Promotion, "gptmill promote")
