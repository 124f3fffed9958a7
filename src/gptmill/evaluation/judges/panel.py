"""A panel of LLM judges: an answer's score is the median of theirs; their agreement is part of the metrics."""

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
OUTCOMES = {WIN: "it wins", TIE: "a tie", LOSS: "it loses"}
FEWEST_PAIRS = 3  # of scores in a rank correlation


class Panel:
    """The models of `judge.models`, asked by one rubric.

    With a rubric that compares, the score is 100, 50 or 0: a win over the base model's answer, a tie or a loss. Each
    pair is shown in both orders; a winner that depends on the order is a tie (Zheng et al. 2023, section 3.4).
    """

    def __init__(self, params: JudgeParams) -> None:
        self.params, self.rubric = params, rubrics.load(params.rubric)
        self.compares = self.rubric.compares
        self.models = [ChatModel(model, params) for model in params.models]
        names = [model.name for model in self.models]
        what = "LLM" if len(names) == 1 else f"median of {len(names)} LLMs"
        self.name = f"{', '.join(names)} ({what}, rubric {self.rubric.name})"
        self.seconds = 0.0
        self.pairs, self.flips = 0, 0  # pairs judged in both orders; those whose winner changed

    @property
    def usage(self) -> Usage:
        return replace(sum((model.usage for model in self.models), Usage()), seconds=self.seconds)

    def metrics(self, judgements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Further fields of metrics/judge.json: of several judges, and of pairs."""
        metrics = {}
        if len(self.models) > 1:
            metrics = {"judges": means(judgements), "judges_agreement": agreement(judgements)}
        if self.compares:
            metrics["flip_rate"] = round(self.flips / self.pairs, 4) if self.pairs else None
        return metrics

    def judge(self, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
        """`score`, `failure`, `reason` and `scores` (by judge) of each record, in order. The judges work concurrently.

        Closing the iterator cancels: requests in flight are waited for and cached, the others are not made.
        """
        if self.compares and records and not any(record.get("base_response") is not None for record in records):
            raise GptmillError(
                f"rubric {self.rubric.name} compares each answer with another one, and no record has a base_response: "
                "set generate.compare_base: true and run generate_responses again (gptmill judge FILE: name the other "
                "answers with --against-file), or choose another judge.rubric"
            )
        ask = self._compare if self.compares else self._grade
        with ExitStack() as stack:
            stack.callback(self._count_seconds, time.monotonic())
            futures: list[list[Future[Record]]] = []
            for model in self.models:
                stack.enter_context(model)
                pool = ThreadPoolExecutor(self.params.concurrency)
                stack.callback(pool.shutdown, cancel_futures=True)
                stack.callback(model.cancel)
                futures.append([pool.submit(ask, model, record) for record in records])
            for judgements in zip(*futures, strict=True):
                yield self._combine([judgement.result() for judgement in judgements])

    def _count_seconds(self, began: float) -> None:
        self.seconds += time.monotonic() - began

    def _grade(self, model: ChatModel, record: Record) -> Record:
        verdict = self._ask(model, record, answer=str(record["response"]))
        score = None if verdict.value is None else self.rubric.of_100(verdict.value)
        return {"score": score, "failure": verdict.failure, "reason": verdict.reason}

    def _compare(self, model: ChatModel, record: Record) -> Record:
        if record.get("base_response") is None:
            return {"score": None, "failure": "there is no answer of the base model to compare with", "reason": ""}
        ours, base = str(record["response"]), str(record["base_response"])
        if ours == base:
            return {"score": TIE, "failure": None, "reason": "both answers are the same"}
        shown_first = self._ask(model, record, first=ours, second=base)
        shown_second = self._ask(model, record, first=base, second=ours)
        if failed := [verdict for verdict in (shown_first, shown_second) if verdict.value is None]:
            return {"score": None, "failure": failed[0].failure, "reason": failed[0].reason}
        first = {"first": WIN, "second": LOSS}.get(shown_first.value, TIE)
        second = {"first": LOSS, "second": WIN}.get(shown_second.value, TIE)
        if first == second:
            return {"score": first, "flipped": False, "failure": None, "reason": shown_first.reason}
        outcomes = f"shown first, {OUTCOMES[first]}; shown second, {OUTCOMES[second]}"
        reason = f"a tie, because the order decides: {outcomes}. {shown_first.reason}"
        return {"score": TIE, "flipped": True, "failure": None, "reason": reason.strip()}

    def _ask(self, model: ChatModel, record: Record, **answers: str) -> parsing.Verdict:
        messages = self.rubric.messages(record, self.params.max_characters, **answers)
        return model.ask(messages, self.rubric.schema(), self.rubric.read, self.rubric.reminder())

    def _combine(self, judgements: Sequence[Record]) -> Record:
        names = [model.name for model in self.models]
        flipped = [judgement["flipped"] for judgement in judgements if "flipped" in judgement]
        self.pairs, self.flips = self.pairs + len(flipped), self.flips + sum(flipped)
        scores = [judgement["score"] for judgement in judgements]
        judged = _not_none(scores)
        middle = median(judged) if judged else None
        return {
            "score": int(middle) if judged and middle == int(middle) else middle,
            "failure": None if judged else _texts(names, [judgement["failure"] for judgement in judgements]),
            "reason": _texts(names, [judgement["reason"] for judgement in judgements]),
            "scores": dict(zip(names, scores, strict=True)),
        }


def _texts(names: Sequence[str], texts: Sequence[str]) -> str:
    """One judge's text; or a line per judge."""
    if len(names) == 1:
        return texts[0]
    return "\n".join(f"{name}: {text}" for name, text in zip(names, texts, strict=True) if text)


def by_judge(judgements: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Each judge's scores, in the order of the answers."""
    names = judgements[0]["scores"] if judgements else []
    return {name: [judgement["scores"][name] for judgement in judgements] for name in names}


def means(judgements: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The mean of each judge's scores; None for a judge without any."""
    scores = {name: _not_none(every) for name, every in by_judge(judgements).items()}
    return {name: round(fmean(given), 2) if given else None for name, given in scores.items()}


def agreement(judgements: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean Spearman correlation over all pairs of judges, -1 to 1, of the answers that both have scored.

    Pairs with fewer than three such answers, or with a constant judge, are left out; None where none is left.
    """
    correlations = []
    for one, other in combinations(by_judge(judgements).values(), 2):
        both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        if len(both) >= FEWEST_PAIRS and (correlation := rank_correlation(*zip(*both, strict=True))) is not None:
            correlations.append(correlation)
    return round(fmean(correlations), 4) if correlations else None


def _not_none(scores: Sequence[float | None]) -> list[float]:
    return [score for score in scores if score is not None]
