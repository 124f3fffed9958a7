"""What simpler means reach on the same data, so that a reader sees what the GPT is worth."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np


class TrigramModel:
    """Interpolated Kneser-Ney over token ids (Chen & Goodman 1999, section 2.7, one discount an order).

    Each order keeps what its discounts leave and hands the rest to the order below, whose counts are of contexts, not of occurrences; under
    the unigrams lies the uniform distribution, so that every token has a probability.
    """

    def __init__(self, tokens: np.ndarray, vocab_size: int) -> None:
        """`tokens`: (tokens,) training ids."""
        self.vocab_size = vocab_size
        ids = tokens.tolist()
        trigrams = Counter(zip(ids, ids[1:], ids[2:], strict=False))
        bigrams = Counter((b, c) for _, b, c in trigrams)
        bigrams.setdefault(tuple(ids[:2]), 1)  # has no token before it, yet was seen
        unigrams = Counter(c for _, c in bigrams)
        self._orders = [_Order(counts) for counts in ({(t,): n for t, n in unigrams.items()}, bigrams, trigrams)]

    def probability(self, context: Sequence[int], token: int) -> float:
        """Of `token` after the last two ids of `context`."""
        probability = 1 / self.vocab_size
        for length, order in enumerate(self._orders):
            if length > len(context):
                break
            probability = order.interpolate(tuple(context[len(context) - length :]), token, probability)
        return probability

    def perplexity(self, tokens: np.ndarray) -> float:
        """exp of the mean surprise in nats over every token but the first, each with what stands before it."""
        ids = tokens.tolist()
        surprise = [-math.log(self.probability(ids[max(0, i - 2) : i], ids[i])) for i in range(1, len(ids))]
        return math.exp(sum(surprise) / len(surprise))


class _Order:
    def __init__(self, counts: dict[tuple[int, ...], int]) -> None:
        self.counts = counts
        frequencies = Counter(counts.values())
        once, twice = frequencies[1], frequencies[2]
        # Without single ones there is no estimate, yet what was not seen needs its share.
        self.discount = once / (once + 2 * twice) if once else 0.5
        self.totals: dict[tuple[int, ...], int] = defaultdict(int)
        self.kinds: dict[tuple[int, ...], int] = defaultdict(int)
        for (*context, _), count in counts.items():
            self.totals[tuple(context)] += count
            self.kinds[tuple(context)] += 1

    def interpolate(self, context: tuple[int, ...], token: int, below: float) -> float:
        total = self.totals.get(context)
        if not total:
            return below
        own = max(0.0, self.counts.get((*context, token), 0) - self.discount)
        return (own + self.discount * self.kinds[context] * below) / total


def tfidf_classifier(
    train: tuple[Sequence[str], Sequence[str]], texts: Sequence[str], seed: int, *, weigh_classes: bool = False
) -> list[str]:
    """Labels for `texts` from TF-IDF of words and word pairs and a logistic regression, fitted on `train`'s texts and labels.

    `weigh_classes`: every class weighs the same in the fit, however many texts it has.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000, random_state=seed, class_weight="balanced" if weigh_classes else None),
    )
    model.fit(*train)
    return model.predict(texts).tolist()
