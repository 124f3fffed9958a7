"""metrics/judge.json: mean scores with intervals, by kind of task and by length; the gain over the base model."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from gptmill.evaluation.statistics import compare, mean, rank_correlation
from gptmill.text import writing_systems

RAREST_KIND, MOST_KINDS = 3, 12
OTHER = "other"
LENGTHS = {0: "no words", 5: "1 to 5 words", 10: "6 to 10 words", 20: "11 to 20 words", 50: "21 to 50 words"}  # by most
LONGER = "over 50 words"


def summarise(judge: str, judgements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of judged records, at least one with a `score`. A score of None counts as failed and is in no mean.

    Where records have a `base_score`: the base model's mean and the gain over it as well.
    """
    scored = [record for record in judgements if record["score"] is not None]
    scores = [record["score"] for record in scored]
    exact = sum(record["response"].strip() == record["output"].strip() for record in judgements)
    centre, low, high = mean(scores)
    correlation = rank_correlation(scores, [len(writing_systems.split(record["response"])) for record in scored])
    kinds = task_kinds([record["instruction"] for record in judgements])
    lengths = [length_class(record["response"]) for record in judgements]
    metrics = {
        "judge": judge,
        "mean_score": round(centre, 2),
        "mean_score_low": round(low, 2),
        "mean_score_high": round(high, 2),
        "median_score": median(scores),
        "exactly_right": round(exact / len(judgements), 4),
        "judged": len(scored),
        "failed": len(judgements) - len(scored),
        "score_length_correlation": None if correlation is None else round(correlation, 4),
        "by_kind": _by(kinds, judgements, sorted(set(kinds) - {OTHER}) + [OTHER]),
        "by_length": _by(lengths, judgements, [*LENGTHS.values(), LONGER]),
    }
    base = [record.get("base_score") for record in judgements]
    if any(score is not None for score in base):
        metrics["base_mean_score"] = round(mean([score for score in base if score is not None])[0], 2)
        metrics |= compare([record["score"] for record in judgements], base)
    return metrics


def task_kinds(instructions: Sequence[str]) -> list[str]:
    """Each task's kind: the first word of its instruction in lower case, most often a verb (`rewrite`, `name`).

    Words that open fewer than three instructions, or are not among the 12 most common, become `other`.
    """
    first = [match[0].casefold() if (match := re.search(r"[^\W\d_]{1,20}\b", text)) else OTHER for text in instructions]
    common = {word for word, count in Counter(first).most_common(MOST_KINDS) if count >= RAREST_KIND}
    return [word if word in common else OTHER for word in first]


def length_class(answer: str) -> str:
    """By words, or characters of scripts without spaces."""
    words = len(writing_systems.split(answer))
    return next((name for most, name in LENGTHS.items() if words <= most), LONGER)


def _by(groups: Sequence[str], judgements: Sequence[dict[str, Any]], order: Sequence[str]) -> dict[str, dict]:
    """Mean score with its interval of each group that has scores, in that order."""
    scores: dict[str, list[float]] = {name: [] for name in order}
    for group, record in zip(groups, judgements, strict=True):
        if record["score"] is not None:
            scores[group].append(record["score"])
    figures = {}
    for name, values in scores.items():
        if values:
            centre, low, high = (round(value, 2) for value in mean(values))
            figures[name] = {"mean": centre, "low": low, "high": high, "answers": len(values)}
    return figures
