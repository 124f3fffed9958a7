import pytest

from gptmill.evaluation.scores import scores, scores_of


def test_scores_are_those_computed_by_hand():
    labels = ["spam", "spam", "spam", "ham", "ham", "ham", "ham", "ham"]
    predicted = ["spam", "spam", "ham", "spam", "ham", "ham", "ham", "ham"]  # 2 right alarms of 3, 1 false one
    assert scores(labels, predicted, ["ham", "spam"]) == {
        "accuracy": 0.75,
        "precision": 0.6667,
        "recall": 0.6667,
        "f1": 0.6667,
        "rows": 8,
    }
    assert scores(labels, predicted, ["spam", "ham"]) == {
        "accuracy": 0.75,
        "precision": 0.8,
        "recall": 0.8,
        "f1": 0.8,
        "rows": 8,
    }


@pytest.mark.parametrize(("labels", "predicted", "expected"), [
    (["ham", "spam"], ["ham", "ham"], (0.5, 0, 0, 0)),  # nothing was called spam
    (["ham", "ham"], ["ham", "spam"], (0.5, 0, 0, 0)),  # nothing was spam
    (["ham", "ham"], ["ham", "ham"], (1, 0, 0, 0)),
    (["spam"], ["spam"], (1, 1, 1, 1)),
])  # fmt: skip
def test_scores_of_a_class_that_does_not_occur_are_zero(labels, predicted, expected):
    result = scores(labels, predicted, ["ham", "spam"])
    assert (result["accuracy"], result["precision"], result["recall"], result["f1"]) == expected


def test_scores_of_many_classes_are_means_of_the_classes_each_weighing_the_same():
    labels = ["a", "a", "a", "a", "b", "b", "c", "c"]
    predicted = ["a", "a", "a", "b", "b", "c", "c", "c"]
    # precision 3/3, 1/2, 2/3; recall 3/4, 1/2, 2/2; a class that does not occur scores 0
    f1 = {"a": 0.8571, "b": 0.5, "c": 0.8, "d": 0.0}
    assert scores(labels, predicted, ["a", "b", "c", "d"]) == {
        "accuracy": 0.75, "precision": round((1 + 1 / 2 + 2 / 3) / 4, 4), "recall": round((3 / 4 + 1 / 2 + 1) / 4, 4),
        "f1": pytest.approx(sum(f1.values()) / 4, abs=1e-4), "rows": 8, "per_class": f1,
    }  # fmt: skip


def test_what_the_scores_are_of_is_said():
    assert scores_of(["ham", "spam"]) == "spam" and scores_of(["a", "b", "c"]) == "3 classes, averaged"
