from gptmill.report import answer_selection
from gptmill.report.inputs import Judgement


def judgement(score: float | None, response: str = "No.", **more: object) -> Judgement:
    return Judgement(
        instruction="Say yes.",
        input="",
        output="Yes.",
        response=response,
        stopped="stop",
        score=score,
        failure=None,
        **more,
    )


def chosen(*judgements: Judgement) -> dict[str, list[float]]:
    return {group.title: [record.score for record in group.records] for group in answer_selection.select(judgements)}


def test_the_best_the_worst_and_some_in_between_are_shown():
    result = chosen(*map(judgement, [*range(0, 100, 5), None]))
    assert result["Best"] == [95, 90, 85] and result["In between"] == [70, 45, 25] and result["Worst"] == [10, 5, 0]


def test_no_answer_is_shown_twice_as_best_worst_or_in_between():
    for count in range(12):
        result = chosen(*map(judgement, range(count)))
        shown = sum((result.get(title, []) for title in ("Best", "In between", "Worst")), [])
        assert sorted(set(shown)) == sorted(shown)
        assert len(shown) == min(count, 9)


def test_where_several_judges_differ_most_is_the_dispute():
    spreads = {
        40: {"a": 40, "b": 41},
        50: {"a": 10, "b": 90},
        60: {"a": 50, "b": 70, "c": None},
        70: {"a": None, "b": 70},
    }
    assert chosen(*(judgement(score, scores=scores) for score, scores in spreads.items()))["Most disputed"] == [50, 60]


def test_one_judge_is_in_dispute_with_the_letters():
    assert chosen(judgement(100, "Yes."), judgement(96, "Right you are!"), judgement(20, "Yes"), judgement(0, ""))[
        "Most disputed"
    ] == [
        96,
        20,
    ]


def test_answers_that_tuning_made_worse_are_shown_the_worst_first():
    result = chosen(
        judgement(50, base_score=90.0),
        judgement(40, base_score=45.0),
        judgement(10, base_score=95.0),
        judgement(90, base_score=1.0),
    )
    assert result["Worse than before tuning"] == [10, 50]
