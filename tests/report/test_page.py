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


def test_control_characters_are_shown_and_not_obeyed():
    assert page.visible("a\x00b\x1b[31m\x7f\x85") == "a␀b␛[31m⟨U+007F⟩⟨U+0085⟩"
    assert page.visible("left \u202eright\ud800") == "left ⟨U+202E⟩right⟨U+D800⟩"
    assert page.visible("one\r\ntwo\tthree\rfour") == "one\ntwo\tthree␍four"


def test_an_endless_text_is_cut_and_says_so():
    assert page.visible("x" * 3000) == "x" * 1200 + " … (1,800 more characters)"


def test_nobody_is_wholly_sure():
    assert page.sure(1.0) == "> 99.99%"
    assert page.sure(0.98765) == "98.77%"


def test_numbers_have_the_digits_that_matter():
    assert [page.number(value) for value in (7259008, 747.734, 24.05, 6.617, 0.000258335, 0.0)] == [
        "7,259,008", "747.7", "24.05", "6.617", "0.000258", "0"
    ]  # fmt: skip


def test_the_confusion_matrix_counts_every_prediction_once():
    predictions = [prediction("ham", "ham", 0.9)] * 3 + [prediction("spam", "ham", 0.6)]
    assert page.confusion(predictions) == [("ham", 3, [("ham", 3), ("spam", 0)]), ("spam", 1, [("ham", 1), ("spam", 0)])]


def test_the_surest_mistakes_come_first():
    predictions = [prediction("ham", "spam", 0.6), prediction("ham", "ham", 1.0), prediction("spam", "ham", 0.9)]
    assert [p.probability for p in page.surest_mistakes(predictions)] == [0.9, 0.6]


def test_whatever_an_expectation_observed_can_be_shown():
    assert [page.observed(value) for value in (None, ["ham", 3], 20479, 0.5, "x")] == ["nothing", "ham, 3", "20,479", "0.5", "x"]
