import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.evaluation.judges.parsing import read_score, read_winner


@pytest.mark.parametrize(("text", "score"), [
    ("85", 85), (" 85\n", 85), ("85.", 85), ("85/100", 85), ("85 / 100", 85), ("85 out of 100", 85), ("85%", 85), ("85.0", 85), ("0", 0),
    ("100", 100), ("100/100", 100), ("85 points", 85), ("**85**", 85), ("`85`", 85), ("# 85", 85), ("007", 7),
    ("Score: 85", 85), ("score = 7", 7), ("SCORE: 85/100.", 85), ("**Score:** 85", 85), ("**Score: 85/100**", 85), ("Rating: 85", 85),
    ("Score (0-100): 85", 85), ("The score is 85.", 85), ("Final score: 85, as it is right.", 85), ("Score:\n85", 85),
    ("85 because it is right", 85), ("85, because it is right", 85), ("85 - right, but long", 85), ("85 (nearly right)", 85),
    ("85\nThe answer is right.", 85), ("85/100\n\nIt has 2 faults.", 85), ("The answer is right, but for 2 words.\n\n85", 85),
    ("It is right.\nScore: 85/100", 85), ("Score: 85. I repeat: score: 85.", 85), ("100 years is right.\nScore: 60", 60),
    ('{"score": 85}', 85), ('{"reason": "3 of 4 are right", "score": 85}', 85), ('```json\n{"score": 85}\n```', 85),
    ('```\n{"reason": "no", "score": 0}\n```', 0), ('My judgement: {"score": "85"}. Well.', 85), ('{"Score": 85.0}', 85),
    ('{"score": "85/100"}', 85),
    ('{"score": 85, "reason": "Score: 3"}', 85), ("<think>Is it 20? Score: 20.</think>\n85", 85), ('{"reason": "a\nb", "score": 85}', 85),
])  # fmt: skip
def test_a_score_is_read_however_it_is_dressed(text, score):
    verdict = read_score(text, 0, 100)
    assert (verdict.value, verdict.failure) == (score, None)


@pytest.mark.parametrize("text", [
    "", " \n", "none", "It is quite good.", "eighty", "Score:", "I would give it 85", "85 90", "85-90", "85 - 90", "Score: 85-90",
    "85 to 90",
    "101", "150", "-3", "−3", "1000", "8.5", "Score: 8.5", "85/10", "8/10", "150/100", "Score: 150", "Score: -3", "score is 8 out of 10",
    "1,000", "85,5", "85!!! or 20", "Score: 85\nScore: 90", "20\nIt is right.\n85", "100 years is wrong",
    "10, as the reference has it, is right",
    "1. The task is done.\n2. It is short.", "1 - The task is done.\n2 - It is short.", "3 (three) words are missing",
    "The fraction 50/100 is 1/2, so it is right.", "I can't give 100/100.", "The score is not 100", "85/100/3",
    '{"score": 150}', '{"score": -3}', '{"score": 8.5}', '{"score": true}', '{"score": null}', '{"score": [85]}', '{"score": "good"}',
    '{"score": NaN}', '{"score": Infinity}', '{"score": 1e999}', '{"score": ""}', '{"score": 85} or {"score": 90}', '{"score": 85',
    "{" * 3000,
    '{"grade": 85}', "[85, 90]", "<think>Score: 20", "85 " * 9000, '{"a":' * 4000, '{"outer": {"score": 85}}',
])  # fmt: skip
def test_what_is_no_score_is_a_failure_that_says_what_was_there(text):
    verdict = read_score(text, 0, 100)
    assert verdict.value is None and verdict.failure
    assert len(verdict.failure) < 200


@pytest.mark.parametrize(("text", "score"), [
    ("4", 4), ("4/5", 4), ('{"reason": "r", "score": 4}', 4), ("It lacks 2 words.\nScore: 4", 4), ("0", None), ("6", None),
    ("80%", None), ("80/100", None),
])  # fmt: skip
def test_a_score_is_on_the_scale_of_the_rubric(text, score):
    assert read_score(text, 1, 5).value == score


@pytest.mark.parametrize(("text", "reason"), [
    ("85", ""), ("Score: 85/100", ""), ("**Score:** 85", ""), ('{"score": 85}', ""), ('{"reason": " It is right. ", "score": 85}',
    "It is right."),
    ("85\nIt is right.", "85\nIt is right."), ('{"reason": 7, "score": 85}', ""), ("It is quite good.", "It is quite good."),
])  # fmt: skip
def test_the_reason_is_what_the_judge_said_besides(text, reason):
    assert read_score(text, 0, 100).reason == reason


@pytest.mark.parametrize(("text", "winner"), [
    ("first", "first"), ("Second.", "second"), ("**tie**", "tie"), ('{"reason": "longer", "winner": "second"}', "second"),
    ("It is better.\nWinner: the first", "first"), ("The winner is second", "second"),
    ("", None), ("The first is better than the second.", None), ("third", None), ('{"winner": "third"}', None), ('{"winner": null}', None),
    ("Winner: first. Winner: second.", None), ('{"winner": "first"} {"winner": "tie"}', None),
])  # fmt: skip
def test_a_winner_is_read_or_there_is_none(text, winner):
    verdict = read_winner(text)
    assert verdict.value == winner and bool(verdict.failure) == (winner is None)


@given(st.text(alphabet=st.sampled_from(list('0123456789-./%,:{}"\n scoreis<think>[]*')), max_size=40))
def test_any_text_is_a_whole_number_of_the_scale_or_none(text):
    verdict = read_score(text, 0, 100)
    assert verdict.value is None or (
        type(verdict.value) is int and 0 <= verdict.value <= 100 and str(verdict.value) in text
    )
    assert (verdict.value is None) == bool(verdict.failure)
