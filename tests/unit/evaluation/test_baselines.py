import math

import numpy as np
import pytest

from gptmill.evaluation import baselines
from gptmill.evaluation.baselines import TrigramModel

# By hand, after Chen & Goodman 1999. Trigrams: 001 twice, 010, 100, 012 once: discount 3 / (3 + 2) = 0.6.
# Bigrams count their contexts: 01, 10, 00, 12 once each: discount 1. Unigrams likewise: 0 twice, 1 and 2 once: discount 2 / (2 + 2) = 0.5.
IDS, V = np.array([0, 0, 1, 0, 0, 1, 2], dtype=np.uint16), 4


@pytest.mark.parametrize(("context", "token", "probability"), [
    ([], 0, (1.5 + 0.5 * 3 / 4) / 4), ([], 1, 0.21875), ([], 2, 0.21875), ([], 3, 0.09375),
    ([0], 1, 0.21875), ([0], 0, 0.46875), ([3], 2, 0.21875),
    ([0, 0], 1, (1.4 + 0.6 * 0.21875) / 2), ([0, 0], 2, 0.6 * 0.21875 / 2), ([0, 1], 2, (0.4 + 0.6 * 2 * 0.21875) / 2),
    ([3, 0], 1, 0.21875), ([3, 3], 1, 0.21875),
])  # fmt: skip
def test_probabilities_are_those_computed_by_hand(context, token, probability):
    assert TrigramModel(IDS, V).probability(context, token) == pytest.approx(probability)


def test_the_perplexity_is_that_computed_by_hand():
    expected = math.exp(-(math.log(0.46875) + math.log(0.765625)) / 2)
    assert TrigramModel(IDS, V).perplexity(np.array([0, 0, 1])) == pytest.approx(expected)


@pytest.mark.parametrize("context", [[], [3], [7, 7], [1, 2], [49, 49], [3, 49], [49, 3]])
def test_probabilities_sum_to_one_after_seen_and_unseen_contexts(context):
    random = np.random.default_rng(0)
    model = TrigramModel(random.integers(0, 40, 800), 50)  # ten tokens are never seen
    probabilities = [model.probability(context, token) for token in range(50)]
    assert sum(probabilities) == pytest.approx(1)
    assert min(probabilities) > 0


def test_it_beats_the_uniform_model_on_text_like_its_own_and_is_close_on_noise():
    random = np.random.default_rng(0)
    pattern = np.resize([3, 1, 4, 1, 5, 9, 2, 6], 2000)
    noisy = np.where(random.random(2000) < 0.2, random.integers(0, 20, 2000), pattern)
    assert TrigramModel(noisy[:1500], 20).perplexity(noisy[1500:]) < 10
    noise = random.integers(0, 20, 2000)
    assert TrigramModel(noise[:1500], 20).perplexity(noise[1500:]) == pytest.approx(20, rel=0.3)


@pytest.mark.parametrize("ids", [[0, 1], [0, 0], [0, 1] * 40, [0, 1, 2, 3] * 2 + [0, 1], [0] * 9])
def test_every_token_has_a_probability_however_repetitive_the_corpus(ids):
    model = TrigramModel(np.array(ids), 6)
    assert math.isfinite(model.perplexity(np.array([5, 4, 0, 1, 1, 5, 2, 0, 0])))
    assert sum(model.probability([0, 1], token) for token in range(6)) == pytest.approx(1)


def test_of_a_huge_corpus_the_end_is_read(monkeypatch):
    ids = np.random.default_rng(0).integers(0, 9, 900)
    expected = TrigramModel(ids[-300:], 9).perplexity(ids[:100])
    monkeypatch.setattr(baselines, "LONGEST_TRIGRAM_TEXT", 300)
    assert TrigramModel(ids, 9).perplexity(ids[:100]) == expected


def test_a_long_text_is_judged_as_its_tokens_are_one_by_one(monkeypatch):
    ids = np.random.default_rng(0).integers(0, 9, 60)
    model = TrigramModel(ids[:40], 9)
    surprise = [-math.log(model.probability(ids[max(0, i - 2) : i], ids[i])) for i in range(1, 60)]
    for at_once in (1, 2, 3, 7, 1000):
        monkeypatch.setattr(baselines, "AT_ONCE", at_once)
        assert model.perplexity(ids) == pytest.approx(math.exp(sum(surprise) / 59))


def test_the_largest_vocabulary_fits():
    ids = np.array([65535, 65535, 65535, 65534, 65535] * 3, dtype=np.uint16)
    model = TrigramModel(ids, 65536)
    assert model.probability([65535, 65535], 65535) > 0.3 > model.probability([0, 65535], 0)
