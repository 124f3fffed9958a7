"""Scores of a list of answers by any judge, in the shape of reports/judgements.jsonl."""

from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from gptmill.core.errors import GptmillError, Unavailable
from gptmill.evaluation.judges import Judge


def judge_all(judge: Judge, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each record with `score`, `failure`, `reason`, `scores` and `base_score` (None without `base_response`).

    Raises `GptmillError` without records, and `Unavailable` where no answer got a score.
    """
    if not records:
        raise GptmillError("there are no answers to judge: run `dvc repro generate_responses`")
    judgements = [
        {
            **record,
            "score": verdict["score"],
            "failure": verdict["failure"],
            "reason": verdict.get("reason") or "",
            "scores": verdict.get("scores") or {judge.name: verdict["score"]},
            "base_score": None,
        }
        for record, verdict in zip(records, _with_progress(judge, records, "judging"), strict=True)
    ]
    if all(record["score"] is None for record in judgements):
        failure = judgements[0]["failure"]
        raise Unavailable(f"the judge {judge.name} could not score a single answer; the first failure: {failure}")
    # A judge that compares has judged both.
    with_base = [] if judge.compares else [record for record in judgements if record.get("base_response") is not None]
    if with_base:
        base = [{**record, "response": record["base_response"]} for record in with_base]
        for record, verdict in zip(with_base, _with_progress(judge, base, "judging the base model"), strict=True):
            record["base_score"] = verdict["score"]
    return judgements


def _with_progress(judge: Judge, records: Sequence[dict[str, Any]], what: str) -> tqdm:
    return tqdm(judge.judge(records), total=len(records), desc=what, unit="answer", disable=None)
