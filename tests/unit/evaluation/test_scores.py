import pytest
import torch

from gptmill.evaluation.scores import scores, scores_of
from gptmill.inference.classification import probabilities, top_label
from gptmill.model.gpt import GPTClassifier

TEXTS = [
    "the miller",
    "a",
    "",
    "Once upon a time there was a cat in the mill, and it said nothing at all",
    "£100!",
    "the cat",
]


@pytest.fixture
def classifier(make_gpt, tokenizer):
    model = GPTClassifier(make_gpt(vocab_size=tokenizer.vocab_size, context_length=32).backbone, ["ham", "spam"])
    torch.nn.init.normal_(model.head.weight)
    return model


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
    found = scores(labels, predicted, ["ham", "spam"])
    assert (found["accuracy"], found["precision"], found["recall"], found["f1"]) == expected


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


@torch.no_grad()
def test_probabilities_are_the_models_own_for_each_text(classifier, tokenizer, cpu):
    classifier.eval()
    for text, row in zip(TEXTS, probabilities(classifier, tokenizer, TEXTS, 10, cpu), strict=True):
        ids = tokenizer.encode(text)[:10] or [tokenizer.end_of_text]
        chances = classifier(torch.tensor([ids]), torch.tensor([len(ids)]))[0].softmax(0)
        assert row == pytest.approx(chances.tolist(), abs=1e-4)


def test_the_likeliest_label_is_the_first_of_equals():
    assert top_label([0.2, 0.4, 0.4], ["a", "b", "c"]) == ("b", 0.4)


def test_order_and_company_do_not_matter(classifier, tokenizer, cpu):
    first = probabilities(classifier, tokenizer, TEXTS, 12, cpu)
    backwards = probabilities(classifier, tokenizer, TEXTS[::-1], 12, cpu, batch_size=2)
    assert backwards[::-1] == [pytest.approx(row, abs=1e-4) for row in first]


def test_no_texts_have_no_probabilities(classifier, tokenizer, cpu):
    assert probabilities(classifier, tokenizer, [], 12, cpu) == []
