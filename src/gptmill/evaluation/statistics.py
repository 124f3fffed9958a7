"""What a set of scores says: means with intervals, by kind of task and by length, and whether one run is better than another.

Intervals are 95% percentile bootstraps over the answers (Efron, 1979), from one seed: the same scores give the same interval.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from gptmill.text import scripts

RESAMPLES = 2000
AT_ONCE = 4_000_000  # numbers of a resample's indices in memory
RAREST_KIND, MOST_KINDS = 3, 12
OTHER = "other"
LENGTHS = (
    (0, 0, "no words"),
    (1, 5, "1 to 5 words"),
    (6, 10, "6 to 10 words"),
    (11, 20, "11 to 20 words"),
    (21, 50, "21 to 50 words"),
)
LONGER = "over 50 words"


def interval(measure: Callable[[np.ndarray], np.ndarray], rows: int) -> tuple[float, float] | None:
    """The 95% bootstrap interval of a measure of `rows` rows; None where no resample has a value.

    `measure` takes row numbers of shape (resamples, rows) and gives a value, or NaN, for each resample.
    """
    random = np.random.default_rng(0)
    step = max(1, AT_ONCE // max(1, rows))
    found = [
        measure(random.integers(rows, size=(min(step, RESAMPLES - done), rows), dtype=np.int32))
        for done in range(0, RESAMPLES, step)
    ]
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    return (float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))) if len(values) else None


def mean(scores: Sequence[float]) -> tuple[float, float, float]:
    """The mean of one or more scores, and its interval."""
    values = np.asarray(scores, dtype=float)
    low, high = interval(lambda rows: values[rows].mean(axis=1), len(values))
    return float(values.mean()), low, high


def compare(scores: Sequence[float | None], others: Sequence[float | None]) -> dict[str, float]:
    """How much higher `scores` are than the other run's for the same questions, in order: `gain` with its interval, `win_rate`.

    Pairs of which either has no score are left out; empty when none is left. A tie is half a win.
    """
    both = [(one, other) for one, other in zip(scores, others, strict=True) if one is not None and other is not None]
    if not both:
        return {}
    gain, low, high = mean([one - other for one, other in both])
    wins = sum(1.0 if one > other else 0.5 if one == other else 0.0 for one, other in both) / len(both)
    return {"gain": round(gain, 2), "gain_low": round(low, 2), "gain_high": round(high, 2), "win_rate": round(wins, 4)}


def kinds(instructions: Sequence[str]) -> list[str]:
    """Each task's kind: its instruction's first word in lower case, which is most often what is to be done (`rewrite`, `name`, `what`).

    Words that open fewer than three instructions, or that are not among the dozen commonest, are `other`.
    """
    first = [match[0].casefold() if (match := re.search(r"[^\W\d_]{1,20}\b", text)) else OTHER for text in instructions]
    common = {word for word, count in Counter(first).most_common(MOST_KINDS) if count >= RAREST_KIND}
    return [word if word in common else OTHER for word in first]


def length(answer: str) -> int:
    """In words, or characters of scripts without spaces."""
    return len(scripts.split(answer))


def length_class(answer: str) -> str:
    return next((name for least, most, name in LENGTHS if least <= length(answer) <= most), LONGER)


def summarise(judge: str, judgements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """metrics/judge.json of judged records, at least one of which has a `score`; scores of None count as failed and are in no mean.

    Where records have a `base_score`, the base model's mean and the gain over it are there too.
    """
    scored = [record for record in judgements if record["score"] is not None]
    scores = [record["score"] for record in scored]
    exact = sum(record["response"].strip() == record["output"].strip() for record in judgements)
    centre, low, high = mean(scores)
    task_kinds = kinds([record["instruction"] for record in judgements])
    found = {
        "judge": judge,
        "mean_score": round(centre, 2),
        "mean_score_low": round(low, 2),
        "mean_score_high": round(high, 2),
        "median_score": median(scores),
        "exactly_right": round(exact / len(judgements), 4),
        "judged": len(scored),
        "failed": len(judgements) - len(scored),
        "score_length_correlation": rank_correlation(scores, [length(record["response"]) for record in scored]),
        "by_kind": _by(task_kinds, judgements, sorted(set(task_kinds) - {OTHER}) + [OTHER]),
        "by_length": _by(
            [length_class(record["response"]) for record in judgements],
            judgements,
            [*(name for *_, name in LENGTHS), LONGER],
        ),
    }
    base = [record.get("base_score") for record in judgements]
    if any(score is not None for score in base):
        found["base_mean_score"] = round(mean([score for score in base if score is not None])[0], 2)
        found |= compare([record["score"] for record in judgements], base)
    return found


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's; None where either is the same throughout, or has fewer than two values."""
    from scipy.stats import spearmanr

    return round(float(spearmanr(one, other).statistic), 4) if min(len(set(one)), len(set(other))) > 1 else None


def _by(
    names: Sequence[str], judgements: Sequence[dict[str, Any]], order: Sequence[str]
) -> dict[str, dict[str, float]]:
    groups = {
        name: [
            record["score"]
            for own, record in zip(names, judgements, strict=True)
            if own == name and record["score"] is not None
        ]
        for name in order
    }
    return {
        name: dict(zip(("mean", "low", "high"), (round(value, 2) for value in mean(scores)), strict=True))
        | {"answers": len(scores)}
        for name, scores in groups.items()
        if scores
    }
