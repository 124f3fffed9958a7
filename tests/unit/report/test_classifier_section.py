import pytest

from gptmill.report import classifier_section
from gptmill.report.inputs import Prediction


def prediction(actual: str, predicted: str, probability: float, **probabilities: float) -> Prediction:
    return Prediction(
        actual=actual, predicted=predicted, probability=probability, probabilities=probabilities, text="hi"
    )


def test_the_confusion_matrix_counts_every_prediction_once():
    predictions = [prediction("ham", "ham", 0.9)] * 3 + [prediction("spam", "ham", 0.6)]
    assert classifier_section.confusion(predictions) == [
        ("ham", 3, [("ham", 3), ("spam", 0)]),
        ("spam", 1, [("ham", 1), ("spam", 0)]),
    ]


def test_the_most_confident_mistakes_come_first():
    predictions = [prediction("ham", "spam", 0.6), prediction("ham", "ham", 1.0), prediction("spam", "ham", 0.9)]
    assert [p.probability for p in classifier_section.most_confident_mistakes(predictions)] == [0.9, 0.6]


@pytest.mark.parametrize(("right", "says"), [(4, "underconfident"), (2, "overconfident"), (3, "well calibrated")])
def test_calibration_says_which_way_it_is_off(right, says):
    result = classifier_section.calibrate(
        [prediction("a", "a", 0.75)] * right + [prediction("b", "a", 0.75)] * (4 - right)
    )
    assert result.error == pytest.approx(abs(0.75 - right / 4))
    assert says in result.verdict


def test_of_two_classes_the_other_ones_probability_follows():
    result = classifier_section.precision_recall_curves(
        [prediction("spam", "spam", 0.9), prediction("spam", "ham", 0.6), prediction("ham", "ham", 0.8)], "spam"
    )
    assert [curve.label for curve in result.curves] == ["spam"]
    assert result.average == 1  # at 0.4, a threshold finds both and no other
    assert result.operating_point == (0.5, 1.0)


def test_of_more_classes_each_has_a_curve_and_without_its_probabilities_none():
    rows = [("a", "a", 0.5), ("b", "b", 0.6), ("c", "b", 0.7)]
    assert classifier_section.precision_recall_curves([prediction(*row) for row in rows], "3 classes, averaged") is None
    result = classifier_section.precision_recall_curves(
        [prediction(*row, a=0.2, b=0.3, c=0.5) for row in rows], "3 classes, averaged"
    )
    assert [(curve.label, round(curve.average, 3)) for curve in result.curves] == [
        ("a", 0.333),
        ("b", 0.333),
        ("c", 0.333),
    ]
    assert result.operating_point is None


def test_where_every_text_is_of_one_class_there_is_no_curve():
    assert (
        classifier_section.precision_recall_curves(
            [prediction("spam", "spam", 0.9), prediction("spam", "ham", 0.9)], "spam"
        )
        is None
    )
