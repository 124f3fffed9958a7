"""External inputs of the extended report: promotion decisions and the judge's agreement with given scores.

They are outside the graph and may change at any time, so the tracked report does not read them. Each file is optional.
"""

from dataclasses import dataclass, field

from pydantic import ConfigDict

from gptmill.core import paths
from gptmill.report import schemas
from gptmill.report.schemas import Record

MEASURES = {  # name: title
    "pearson": "Pearson",
    "spearman": "Spearman",
    "kendall": "Kendall's tau-b",
    "kappa": "Cohen's kappa, quadratic weights",
    "mae": "Mean absolute error, in points",
}


class Promotion(Record):
    """`.gptmill/promotion/<model>.json`, the last decision about a model, by `gptmill promote`.

    `figures`: measurements by name. `difference`: challenger minus champion on the same test data; `difference low` and
    `difference high`: its paired interval.
    """

    model: str
    decision: str  # promoted, not promoted or refused
    reasons: list[str]
    figures: dict[str, float] = {}
    version: str = ""  # the challenger's; "" for a dry run
    champion: str = ""  # the version compared with; "" without one

    @property
    def tone(self) -> str:
        return {"promoted": "ahead", "refused": "behind"}.get(self.decision, "level")


class Agreement(Record):
    """`reports/agreement.json`, by `gptmill judge agreement`.

    Each measure under its name, its 95% interval under `_low` and `_high`; None: not defined.
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
        """(title, value, low, high) of each measure."""
        values = self.model_extra or {}
        return [
            (title, values[name], values.get(f"{name}_low"), values.get(f"{name}_high"))
            for name, title in MEASURES.items()
            if name in values
        ]


@dataclass(frozen=True)
class External:
    promotions: list[Promotion] = field(default_factory=list)
    agreement: Agreement | None = None


def read() -> External:
    """The files that exist. Raises `GptmillError` for an invalid one."""
    promotions = [
        schemas.read_json(path, Promotion, "gptmill promote") for path in sorted(paths.PROMOTIONS.glob("*.json"))
    ]
    if not paths.AGREEMENT.exists():
        return External(promotions)
    return External(promotions, schemas.read_json(paths.AGREEMENT, Agreement, "gptmill judge agreement"))
