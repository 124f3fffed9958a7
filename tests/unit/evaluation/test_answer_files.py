import json
from pathlib import Path

import pytest

from gptmill.core.errors import GptmillError
from gptmill.evaluation import answer_files


@pytest.mark.parametrize("score", ["NaN", "Infinity", "-1", "101", "9" * 400, "true", '"5"', "null", "[5]"])
def test_what_is_no_score_is_refused(score):
    with pytest.raises(GptmillError, match="record 2: points is .*, not a number from 0 to 100"):
        answer_files.given_scores([{"points": 100}, {"points": json.loads(score)}], "points", Path("answers.json"))


def test_scores_from_0_to_100_are_taken():
    assert answer_files.given_scores([{"points": 0}, {"points": 62.5}], "points", Path("answers.json")) == [0, 62.5]
