import pytest

from gptmill.evaluation.judges.reference import ReferenceJudge

RECORD = {"instruction": "Name the cat.", "input": "A cat called Tom", "output": "Tom", "response": "It is Tom."}


@pytest.mark.parametrize(("reference", "response", "score"), [
    ("The cat sat.", "The cat sat.", 100), ("The cat sat.", "the CAT sat", 100), ("“It’s £5!”", "It’s 5", 100),
    ("The cat sat.", "", 0), ("The cat sat.", "  ?!\n", 0), ("Tom", "xyz", 0),
])  # fmt: skip
def test_the_reference_judge_gives_all_for_the_same_words_and_nothing_for_none(reference, response, score):
    assert ReferenceJudge().score(reference, response) == score


def test_the_reference_judge_gives_more_the_likelier_and_never_all_for_other_words():
    reference = "The miller gave the cat a pair of boots."
    answers = ["Purple.", "The miller sang.", "The miller gave the dog boots.", "The miller gave the cat a pair of boats."]
    found = [ReferenceJudge().score(reference, answer) for answer in answers]
    assert found == sorted(found) and found[0] < 25 and 80 < found[-1] < 100
    assert ReferenceJudge().score("a b c d e f g h i j " * 30 + "k", "a b c d e f g h i j " * 30 + "l") == 99


def test_the_reference_judge_says_that_it_is_no_llm():
    judge = ReferenceJudge()
    assert "no LLM" in judge.name
    assert list(judge.judge([RECORD | {"response": "Tom!"}])) == [{"score": 100, "failure": None}]
