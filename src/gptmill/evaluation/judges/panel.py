"""The judges behind servers, one or several: each answer's score is the median of theirs, and how far they agree is part of the result."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import combinations
from statistics import fmean, median
from typing import Any

from gptmill.config.judge import JudgeParams
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import Record, parsing, rubrics
from gptmill.evaluation.judges.client import ChatModel, Usage
from gptmill.evaluation.statistics import rank_correlation

WIN, TIE, LOSS = 100, 50, 0
FEWEST_PAIRS = 3  # of scores: of fewer, a rank correlation says nothing


class Panel:
    """The models of `judge.models`, asked by one rubric.

    With a rubric that compares, an answer's score is 100, 50 or 0: better than the base model's answer, as good, or worse. Each pair is
    shown in both orders, and a judge that changes its mind with the order has found a tie (Zheng et al. 2023, section 3.4).
    """

    def __init__(self, params: JudgeParams) -> None:
        self.params, self.rubric = params, rubrics.load(params.rubric)
        self.models = [ChatModel(model, params) for model in params.models]
        names = [model.name for model in self.models]
        what = "LLM" if len(names) == 1 else f"median of {len(names)} LLMs"
        self.name = f"{', '.join(names)} ({what}, rubric {self.rubric.name})"
        self.seconds = 0.0  # that judging has taken
        self.pairs, self.flips = 0, 0  # pairs judged in both orders, and those whose winner changed with the order

    @property
    def compares(self) -> bool:
        """Whether scores tell which of `response` and `base_response` is better, not how good one is."""
        return self.rubric.compares

    @property
    def usage(self) -> Usage:
        """What judging has taken up to now."""
        return replace(sum((model.usage for model in self.models), Usage()), seconds=self.seconds)

    @property
    def flip_rate(self) -> float | None:
        """The share of pairs whose winner changed with their order; None when there are none."""
        return round(self.flips / self.pairs, 4) if self.pairs else None

    def metrics(self, judgements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What several judges, or pairs, add to metrics/judge.json."""
        several = (
            {"judges": means(judgements), "judges_agreement": agreement(judgements)} if len(self.models) > 1 else {}
        )
        return several | ({"flip_rate": self.flip_rate} if self.compares else {})

    def judge(self, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
        """`score`, `failure`, `reason` and `scores` (by judge) of each record, in order. All judges work at the same time.

        Whoever stops reading stops the asking: what is under way is waited for and kept, the rest is not asked.
        """
        if self.compares and records and not any(record.get("base_response") is not None for record in records):
            raise GptmillError(
                f"rubric {self.rubric.name} compares each answer with another one, and no record has a base_response: set "
                "generate.compare_base: true and run generate_responses again (gptmill judge FILE: name the other answers with "
                "--against-file), or choose another judge.rubric"
            )
        ask = self._compare if self.compares else self._grade
        with ExitStack() as open_now:
            open_now.callback(self._count_seconds, time.monotonic())
            asked: list[list[Future[Record]]] = []
            for model in self.models:
                open_now.enter_context(model)
                pool = ThreadPoolExecutor(self.params.concurrency)
                open_now.callback(pool.shutdown, cancel_futures=True)
                open_now.callback(model.cancel)
                asked.append([pool.submit(ask, model, record) for record in records])
            for judgements in zip(*asked, strict=True):
                yield self._together([judgement.result() for judgement in judgements])

    def _count_seconds(self, began: float) -> None:
        self.seconds += time.monotonic() - began

    def _grade(self, model: ChatModel, record: Record) -> Record:
        verdict = self._ask(model, record, answer=str(record["response"]))
        if verdict.value is None:
            return {"score": None, "failure": verdict.failure, "reason": verdict.reason}
        return {"score": self.rubric.of_100(verdict.value), "failure": None, "reason": verdict.reason}

    def _compare(self, model: ChatModel, record: Record) -> Record:
        if record.get("base_response") is None:
            return {"score": None, "failure": "there is no answer of the base model to compare with", "reason": ""}
        ours, base = str(record["response"]), str(record["base_response"])
        if ours == base:
            return {"score": TIE, "failure": None, "reason": "both answers are the same"}  # which takes no judge
        one, other = (
            self._ask(model, record, first=ours, second=base),
            self._ask(model, record, first=base, second=ours),
        )
        if failed := [verdict for verdict in (one, other) if verdict.value is None]:
            return {"score": None, "failure": failed[0].failure, "reason": failed[0].reason}
        scores = [
            {"first": WIN, "second": LOSS}.get(one.value, TIE),
            {"first": LOSS, "second": WIN}.get(other.value, TIE),
        ]
        if scores[0] == scores[1]:
            return {"score": scores[0], "flipped": False, "failure": None, "reason": one.reason}
        reason = f"a tie, because the order decides: shown first, {_outcome(scores[0])}; shown second, {_outcome(scores[1])}. {one.reason}"
        return {"score": TIE, "flipped": True, "failure": None, "reason": reason.strip()}

    def _ask(self, model: ChatModel, record: Record, **answers: str) -> parsing.Verdict:
        messages = self.rubric.messages(record, self.params.max_characters, **answers)
        return model.ask(messages, self.rubric.schema(), self.rubric.read, self.rubric.reminder())

    def _together(self, judgements: Sequence[Record]) -> Record:
        names = [model.name for model in self.models]
        flipped = [judgement["flipped"] for judgement in judgements if "flipped" in judgement]
        self.pairs, self.flips = self.pairs + len(flipped), self.flips + sum(flipped)
        scores = [judgement["score"] for judgement in judgements]
        given = [score for score in scores if score is not None]
        middle = median(given) if given else None
        return {
            "score": int(middle) if given and middle == int(middle) else middle,
            "failure": None if given else _told(names, [judgement["failure"] for judgement in judgements]),
            "reason": _told(names, [judgement["reason"] for judgement in judgements]),
            "scores": dict(zip(names, scores, strict=True)),
        }


def _outcome(score: int) -> str:
    return {WIN: "it wins", TIE: "a tie", LOSS: "it loses"}[score]


def _told(names: Sequence[str], texts: Sequence[str]) -> str:
    """What one judge says; or what each says, a line each."""
    if len(names) == 1:
        return texts[0]
    return "\n".join(f"{name}: {text}" for name, text in zip(names, texts, strict=True) if text)


def by_judge(judgements: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Each judge's scores, in the order of the answers."""
    names = judgements[0]["scores"] if judgements else []
    return {name: [judgement["scores"][name] for judgement in judgements] for name in names}


def means(judgements: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The mean of each judge's scores, of those that it gave; None for a judge that gave none."""
    return {
        name: round(fmean(given), 2) if (given := _given(scores)) else None
        for name, scores in by_judge(judgements).items()
    }


def agreement(judgements: Sequence[Mapping[str, Any]]) -> float | None:
    """How alike the judges rank the answers: the mean over all pairs of judges of Spearman's correlation, from -1 to 1.

    A pair counts over the answers that both have scored. None when no pair has enough of them, or when one gives all answers the same
    score: then there is no order to agree on.
    """
    correlations = []
    for one, other in combinations(by_judge(judgements).values(), 2):
        both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        if len(both) >= FEWEST_PAIRS and (correlation := rank_correlation(*zip(*both, strict=True))) is not None:
            correlations.append(correlation)
    return round(fmean(correlations), 4) if correlations else None


def _given(scores: Sequence[float | None]) -> list[float]:
    return [score for score in scores if score is not None]
