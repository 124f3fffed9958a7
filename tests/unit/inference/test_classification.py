import pytest
import torch

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


@torch.no_grad()
def test_probabilities_are_the_models_own_for_each_text(classifier, tokenizer, cpu):
    classifier.eval()
    for text, row in zip(TEXTS, probabilities(classifier, tokenizer, TEXTS, 10, cpu), strict=True):
        ids = tokenizer.encode(text)[:10] or [tokenizer.end_of_text]
        chances = classifier(torch.tensor([ids]), torch.tensor([len(ids)]))[0].softmax(0)
        assert row == pytest.approx(chances.tolist(), abs=1e-4)


def test_the_top_label_is_the_first_of_equals():
    assert top_label([0.2, 0.4, 0.4], ["a", "b", "c"]) == ("b", 0.4)


def test_order_and_company_do_not_matter(classifier, tokenizer, cpu):
    first = probabilities(classifier, tokenizer, TEXTS, 12, cpu)
    backwards = probabilities(classifier, tokenizer, TEXTS[::-1], 12, cpu, batch_size=2)
    assert backwards[::-1] == [pytest.approx(row, abs=1e-4) for row in first]


def test_no_texts_have_no_probabilities(classifier, tokenizer, cpu):
    assert probabilities(classifier, tokenizer, [], 12, cpu) == []
