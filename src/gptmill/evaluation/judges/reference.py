"""The reference judge needs no network: it compares an answer with the reference answer, by the shares of `features`.

Score: 100 times the product of the shares, each to an exponent that `reference_fit` fitted to GPT-4's scores
(reference.json). A product, as a wrong number or a copy of the question costs nearly everything whatever the rest is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from math import prod
from typing import Any

from gptmill.evaluation.judges import Record
from gptmill.evaluation.judges.reference_features import Question
from gptmill.text import writing_systems

COEFFICIENTS = "reference.json"
FEATURES = ("order", "numbers", "own", "pairs")
FLOOR = 0.01  # a share of 0 counts as this
UNRELATED = 0.1  # `order` below which an answer scores 0: overlap by chance


class ReferenceJudge:
    """Similarity to the reference answer, without an LLM: a right answer in other words gets too little."""

    name = "reference (no LLM)"
    compares, usage = False, None

    def __init__(self, exponents: Mapping[str, float] | None = None) -> None:
        self.exponents = exponents or coefficients()["exponents"]

    def judge(self, records: Sequence[Record]) -> Iterable[Record]:
        if writing_systems.are_unspaced(str(record["output"]) for record in records):
            self.name = "reference (no LLM, of characters)"
        for record in records:
            yield {"score": self.score(record), "failure": None, "reason": ""}

    def metrics(self, judgements: Sequence[Record]) -> dict[str, Any]:
        return {}

    def score(self, record: Record) -> int:
        question = Question(*(str(record[name]) for name in ("instruction", "input", "output")))
        answer = str(record["response"])
        return score(question.same(answer), question.features(answer), self.exponents)


def nearness(shares: Mapping[str, float], exponents: Mapping[str, float]) -> float:
    """The product of the shares, each to its exponent: 0 to 1."""
    if shares["order"] < UNRELATED:
        return 0.0
    return prod(max(shares[name], FLOOR) ** exponents[name] for name in FEATURES)


def score(same: bool, shares: Mapping[str, float], exponents: Mapping[str, float]) -> int:
    """100 for the reference's own words, otherwise 0 to 99."""
    return 100 if same else min(99, round(100 * nearness(shares, exponents)))


@cache
def coefficients() -> dict[str, Any]:
    """reference.json: the exponents, and the data of the fit."""
    return json.loads(resources.files("gptmill.evaluation.judges").joinpath(COEFFICIENTS).read_text(encoding="utf-8"))
