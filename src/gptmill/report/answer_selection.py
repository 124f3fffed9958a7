"""Which answers to show: the best, the worst, some in between, those over which there is dispute, and those that tuning made worse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from gptmill.report.inputs import Judgement

SHOWN = 3  # of each kind
DISPUTED = 15  # points apart, at least


@dataclass(frozen=True)
class Shown:
    title: str
    why: str  # "" where the title says it
    records: list[Judgement]


def choose(judgements: Sequence[Judgement]) -> list[Shown]:
    """No answer twice, except among those that are disputed or worse than the base model's. Kinds without answers are left out."""
    ranked = sorted((record for record in judgements if record.score is not None), key=lambda record: -record.score)
    best, rest = ranked[:SHOWN], ranked[SHOWN:]
    worst = rest[-SHOWN:]
    between = rest[: len(rest) - len(worst)]
    shown = min(SHOWN, len(between))
    middle = [between[(2 * i + 1) * len(between) // (2 * shown)] for i in range(shown)]
    kinds = [
        Shown("Best", "", best),
        Shown("In between", "", middle),
        Shown("Worst", "", worst),
        _disputed(ranked),
        _worsened(ranked),
    ]
    return [kind for kind in kinds if kind.records]


def _disputed(ranked: Sequence[Judgement]) -> Shown:
    """Of several judges, where they differ most; of one, where its score is furthest from the likeness of answer and reference."""
    if any(len(record.scores) > 1 for record in ranked):
        return Shown(
            "Most disputed", "The judges are furthest apart here.", _most(ranked, lambda record: record.spread)
        )
    why = (
        "There is one judge, so the dispute is with the letters: its score is furthest from how alike answer and reference are, "
        "character by character (of 100)."
    )
    return Shown("Most disputed", why, _most(ranked, lambda record: abs(record.score - likeness(record))))


def _worsened(ranked: Sequence[Judgement]) -> Shown:
    why = "The base model's answer scored higher than the tuned model's."
    return Shown("Worse than before tuning", why, _most(ranked, lambda record: -(record.gain or 0)))


def likeness(record: Judgement) -> float:
    """0 to 100: characters that answer and reference have in common, in order (rapidfuzz's `fuzz.ratio`)."""
    return fuzz.ratio(record.response.strip(), record.output.strip())


def _most(ranked: Sequence[Judgement], points: Callable[[Judgement], float]) -> list[Judgement]:
    found = sorted(
        ((points(record), place, record) for place, record in enumerate(ranked)),
        key=lambda entry: (-entry[0], entry[1]),
    )
    return [record for apart, _, record in found[:SHOWN] if apart >= DISPUTED]
