"""Judges: a score from 0 to 100 for an answer, or none. A judge that could not judge says so; it never makes a score up."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gptmill.config.judge import JudgeParams

Record = dict[str, str | int]


if TYPE_CHECKING:
    from gptmill.evaluation.judges.client import Usage


class Judge(Protocol):
    name: str
    compares: bool  # whether scores tell which of `response` and `base_response` is better, not how good one is
    usage: "Usage | None"  # after judging: what it took, of a judge that costs something

    def metrics(self, judgements: Sequence[Record]) -> dict[str, Any]:
        """After judging: what this kind of judge adds to metrics/judge.json."""

    def judge(self, records: Sequence[Record]) -> Iterable[Record]:
        """`score` (0 to 100, or None with the reason in `failure`) for each record's `response`, in order."""


def make_judge(params: JudgeParams) -> Judge:
    """The judge that `judge.backend` names."""
    if params.backend == "openai":
        from gptmill.evaluation.judges.panel import Panel

        return Panel(params)
    from gptmill.evaluation.judges.reference import ReferenceJudge

    return ReferenceJudge()
