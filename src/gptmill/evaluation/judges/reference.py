"""The judge that is there without a network: how near an answer comes to the reference, in the shares of `features`.

Its score is 100 × the product of the shares, each to an exponent that was fitted to GPT-4's scores and stands in reference.json; `fitting`
makes that file. A product, not a sum: a wrong number, or a copy of the question, costs nearly all however like the rest is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from math import prod
from typing import Any

from gptmill.evaluation.judges import Record
from gptmill.evaluation.judges.features import Question
from gptmill.text import scripts

COEFFICIENTS = "reference.json"
FEATURES = ("order", "numbers", "own", "pairs")
FLOOR = 0.01  # a share of 0 counts as this: what little is left is a wrong number's
UNRELATED = 0.1  # what has less of the reference in it has nothing of it but chance


class ReferenceJudge:
    """Nearness to the reference answer. It is no LLM: a right answer in other words gets too little."""

    name = "reference (no LLM)"
    compares, usage = False, None

    def __init__(self, exponents: Mapping[str, float] | None = None) -> None:
        self.exponents = exponents or coefficients()["exponents"]

    def judge(self, records: Sequence[Record]) -> Iterable[Record]:
        if scripts.are_unspaced(str(record["output"]) for record in records):
            self.name = "reference (no LLM, of characters)"  # and no longer of words
        for record in records:
            yield {"score": self.score(record), "failure": None, "reason": ""}

    def metrics(self, judgements: Sequence[Record]) -> dict[str, Any]:
        return {}

    def score(self, record: Record) -> int:
        """100 for the reference's own words, 0 for none of them; else 0 to 99."""
        question = Question(*(str(record[part]) for part in ("instruction", "input", "output")))
        answer = str(record["response"])
        return 100 if question.same(answer) else rounded(nearness(question.features(answer), self.exponents))


def nearness(shares: Mapping[str, float], exponents: Mapping[str, float]) -> float:
    """0 to 1: the product of the shares, each to its exponent."""
    if shares["order"] < UNRELATED:
        return 0.0
    return prod(max(shares[name], FLOOR) ** exponents[name] for name in FEATURES)


def rounded(share: float) -> int:
    """A score for a share from 0 to 1; 100 is kept for the reference's own words."""
    return min(99, round(100 * share))


@cache
def coefficients() -> dict[str, Any]:
    """What reference.json says: the exponents, and what they were fitted on."""
    return json.loads(resources.files("gptmill.evaluation.judges").joinpath(COEFFICIENTS).read_text(encoding="utf-8"))
