"""Judges score answers from 0 to 100. An answer that could not be judged has no score, and a reason."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gptmill.config.judge import JudgeParams

Record = dict[str, str | int]

if TYPE_CHECKING:
    from gptmill.evaluation.judges.client import Usage


class Judge(Protocol):
    name: str
    compares: bool  # `response` with `base_response`; otherwise `response` is graded
    usage: "Usage | None"  # after judging; None for a judge without cost

    def metrics(self, judgements: Sequence[Record]) -> dict[str, Any]:
        """After judging: further fields of metrics/judge.json."""

    def judge(self, records: Sequence[Record]) -> Iterable[Record]:
        """`score` (0 to 100, or None and `failure`) of each record's `response`, in order."""


def make_judge(params: JudgeParams) -> Judge:
    """The judge that `judge.backend` names."""
    if params.backend == "openai":
        from gptmill.evaluation.judges.panel import Panel

        return Panel(params)
    from gptmill.evaluation.judges.reference import ReferenceJudge

    return ReferenceJudge()
