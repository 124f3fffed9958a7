"""What the extended report shows besides: it lies outside the graph, in the registry and in what a person measured, and may change any day.

Each file is optional. A tracked report that read them would not be the same bytes for the same inputs.
"""

from dataclasses import dataclass, field
from pathlib import Path

from gptmill import paths
from gptmill.report import records
from gptmill.report.records import Record


class Guard(Record):
    """A figure that must hold, whatever the difference is."""

    name: str
    value: float | None
    limit: float
    held: bool


class Promotion(Record):
    """`.gptmill/promotion/<model>.json`, the last decision about a model: `gptmill promote` writes it.

    Differences are challenger less champion, on the same test data; `low` and `high` bound the paired interval.
    """

    model: str
    decision: str  # promoted, kept or refused
    reason: str
    figure: str = ""  # what the difference is of
    champion: dict[str, float | None] = {}  # figures by name; {} when there was no champion
    challenger: dict[str, float | None] = {}
    champion_version: str = ""
    challenger_version: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    guards: list[Guard] = []

    @property
    def tone(self) -> str:
        return {"promoted": "ahead", "refused": "behind"}.get(self.decision, "level")

    @property
    def figures(self) -> list[str]:
        return list(dict.fromkeys([*self.champion, *self.challenger]))


class Measure(Record):
    value: float | None
    low: float | None = None
    high: float | None = None


class Agreement(Record):
    """`reports/agreement.json`, how the judge agrees with scores that were given: `gptmill judge agreement` writes it."""

    judge: str
    against: str
    file: str = ""
    answers: int
    measures: dict[str, Measure]  # Pearson, Spearman, …


@dataclass(frozen=True)
class Outside:
    promotions: list[Promotion] = field(default_factory=list)
    agreement: Agreement | None = None


def read() -> Outside:
    """What there is of it. Raises `GptmillError` when a file is there and is not what it should be."""
    promotions = [_decision(path) for path in sorted(paths.PROMOTIONS.glob("*.json"))]
    agreement = records.read_json(paths.AGREEMENT, Agreement, "gptmill judge agreement") if paths.AGREEMENT.exists() else None
    return Outside(promotions, agreement)


def _decision(path: Path) -> Promotion:
    return records.read_json(path, Promotion, "gptmill promote")
