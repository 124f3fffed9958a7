from gptmill.report import page
from gptmill.report.inputs import Judgement, Prediction


def judgement(score: float | None) -> Judgement:
    return Judgement(instruction="Say yes.", input="", output="Yes.", response="No.", stopped="stop", score=score, failure=None)


def prediction(actual: str, predicted: str, probability: float) -> Prediction:
    return Prediction(actual=actual, predicted=predicted, probability=probability, text="hi")


def chosen(*scores: float | None) -> dict[str, list[float]]:
    return {title: [record.score for record in records] for title, records in page.choose([judgement(score) for score in scores])}


def test_the_best_the_worst_and_some_in_between_are_shown():
    assert chosen(*range(0, 100, 5), None) == {"Best": [95, 90, 85], "In between": [70, 45, 25], "Worst": [10, 5, 0]}


def test_no_answer_is_shown_twice():
    for count in range(12):
        shown = sum(chosen(*range(count)).values(), [])
        assert sorted(set(shown)) == sorted(shown)
        assert len(shown) == min(count, 9)


def test_the_confusion_matrix_counts_every_prediction_once():
    predictions = [prediction("ham", "ham", 0.9)] * 3 + [prediction("spam", "ham", 0.6)]
    assert page.confusion(predictions) == [("ham", 3, [("ham", 3), ("spam", 0)]), ("spam", 1, [("ham", 1), ("spam", 0)])]


def test_the_surest_mistakes_come_first():
    predictions = [prediction("ham", "spam", 0.6), prediction("ham", "ham", 1.0), prediction("spam", "ham", 0.9)]
    assert [p.probability for p in page.surest_mistakes(predictions)] == [0.9, 0.6]
