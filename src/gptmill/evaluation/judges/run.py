"""Answers with their scores: what any judge says of a list of records, in the shape of reports/judgements.jsonl."""

from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from gptmill.core.errors import GptmillError, Unavailable
from gptmill.evaluation.judges import Judge


def judge_all(judge: Judge, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each record with `score`, `failure`, `reason`, `scores` and `base_score` (None where there is no `base_response`), in order.

    Raises `GptmillError` when not a single answer got a score: a judge that cannot be reached is no judge of anything.
    """
    if not records:
        raise GptmillError("there are no answers to judge: run `dvc repro generate_responses`")
    found = [
        {
            **record,
            "score": said["score"],
            "failure": said["failure"],
            "reason": said.get("reason") or "",
            "scores": said.get("scores") or {judge.name: said["score"]},
            "base_score": None,
        }
        for record, said in zip(records, _with_progress(judge, records, "judging"), strict=True)
    ]
    if all(record["score"] is None for record in found):
        raise Unavailable(
            f"the judge {judge.name} could not score a single answer; the first failure: {found[0]['failure']}"
        )
    # A judge that compares the two has judged both.
    with_base = [] if judge.compares else [record for record in found if record.get("base_response") is not None]
    if with_base:
        asked = [{**record, "response": record["base_response"]} for record in with_base]
        for record, said in zip(with_base, _with_progress(judge, asked, "judging the base model"), strict=True):
            record["base_score"] = said["score"]
    return found


def _with_progress(judge: Judge, records: Sequence[dict[str, Any]], what: str) -> tqdm:
    return tqdm(judge.judge(records), total=len(records), desc=what, unit="answer", disable=None)
