"""Selects the answers that the report shows: best, worst, in between, most disputed, and worse than before tuning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from gptmill.report.inputs import Judgement

SHOWN = 3  # per group
DISPUTED = 15  # least difference in points


@dataclass(frozen=True)
class AnswerGroup:
    title: str
    why: str  # "" where the title is enough
    records: list[Judgement]


def select(judgements: Sequence[Judgement]) -> list[AnswerGroup]:
    """Non-empty groups. An answer is in one of the first three at most, and may be in the last two as well."""
    ranked = sorted((record for record in judgements if record.score is not None), key=lambda record: -record.score)
    best, rest = ranked[:SHOWN], ranked[SHOWN:]
    worst = rest[-SHOWN:]
    between = rest[: len(rest) - len(worst)]
    shown = min(SHOWN, len(between))
    middle = [between[(2 * i + 1) * len(between) // (2 * shown)] for i in range(shown)]
    worsened = _most(ranked, lambda record: -(record.gain or 0))
    groups = [
        AnswerGroup("Best", "", best),
        AnswerGroup("In between", "", middle),
        AnswerGroup("Worst", "", worst),
        _disputed(ranked),
        AnswerGroup("Worse than before tuning", "The base model's answer has the higher score.", worsened),
    ]
    return [group for group in groups if group.records]


def _disputed(ranked: Sequence[Judgement]) -> AnswerGroup:
    """Largest spread of several judges; of one, largest difference between score and similarity to the reference."""
    if any(len(record.scores) > 1 for record in ranked):
        spread = _most(ranked, lambda record: record.spread)
        return AnswerGroup("Most disputed", "The judges differ most here.", spread)
    why = "Its score differs most from the similarity of answer and reference by characters (there is one judge)."
    return AnswerGroup("Most disputed", why, _most(ranked, lambda record: abs(record.score - similarity(record))))


def similarity(record: Judgement) -> float:
    """0 to 100: normalised indel similarity of answer and reference (rapidfuzz's `fuzz.ratio`)."""
    return fuzz.ratio(record.response.strip(), record.output.strip())


def _most(ranked: Sequence[Judgement], points: Callable[[Judgement], float]) -> list[Judgement]:
    most = sorted(ranked, key=lambda record: -points(record))[:SHOWN]
    return [record for record in most if points(record) >= DISPUTED]
