import pytest

from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import run
from gptmill.evaluation.judges.reference import ReferenceJudge


def test_no_answers_at_all_are_one_error():
    with pytest.raises(GptmillError, match="there are no answers to judge"):
        run.judge_all(ReferenceJudge(), [])
