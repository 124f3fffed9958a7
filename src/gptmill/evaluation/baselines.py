"""Baseline of the base model: a trigram model's perplexity on the same tokens."""

import math
from collections.abc import Sequence

import numpy as np

LONGEST_TRIGRAM_TEXT = 20_000_000  # tokens: half a gigabyte in memory
AT_ONCE = 1_000_000  # tokens per batch


class TrigramModel:
    """Interpolated Kneser-Ney over token ids (Chen & Goodman 1999, section 2.7, one discount per order).

    Lower orders count contexts, not occurrences. Below the unigrams is the uniform distribution.
    """

    def __init__(self, tokens: np.ndarray, vocab_size: int) -> None:
        """`tokens`: (tokens,) training ids; the last LONGEST_TRIGRAM_TEXT are read. `vocab_size`: up to 65,536."""
        self.vocab_size = vocab_size
        ids = np.asarray(tokens[-LONGEST_TRIGRAM_TEXT:], dtype=np.int64)
        # An n-gram is a number in base vocab_size; its context is the number without the last digit.
        trigrams, counts = np.unique((ids[:-2] * vocab_size + ids[1:-1]) * vocab_size + ids[2:], return_counts=True)
        bigrams, contexts = np.unique(
            np.append(trigrams % vocab_size**2, ids[:-1][:1] * vocab_size + ids[1:][:1]), return_counts=True
        )
        # The first bigram has no context: it counts as one only where it does not recur.
        first = bigrams == ids[0] * vocab_size + ids[1]
        contexts = np.where(first & (contexts > 1), contexts - 1, contexts)
        self._orders = [_Order(*np.unique(bigrams % vocab_size, return_counts=True), vocab_size)]
        self._orders += [_Order(bigrams, contexts, vocab_size), _Order(trigrams, counts, vocab_size)]

    def probability(self, context: Sequence[int], token: int) -> float:
        """P(token | last two ids of `context`)."""
        ids = np.array([*context[max(0, len(context) - 2) :], token], dtype=np.int64)
        return float(self._probabilities(ids)[-1])

    def perplexity(self, tokens: np.ndarray) -> float:
        """exp of the mean negative log-likelihood of every token but the first, given those before it."""
        nats = 0.0
        for start in range(1, len(tokens), AT_ONCE):
            before = min(2, start)
            ids = np.asarray(tokens[start - before : start + AT_ONCE], dtype=np.int64)
            nats -= float(np.log(self._probabilities(ids)[before:]).sum())
        return math.exp(nats / (len(tokens) - 1))

    def _probabilities(self, ids: np.ndarray) -> np.ndarray:
        """(n,) probability of each id given up to two before it."""
        probabilities, contexts = np.full(len(ids), 1 / self.vocab_size), np.zeros(len(ids), dtype=np.int64)
        for length, order in enumerate(self._orders):
            if length:
                contexts[length:] += ids[: len(ids) - length] * self.vocab_size ** (length - 1)
            probabilities[length:] = order.interpolate(contexts[length:], ids[length:], probabilities[length:])
        return probabilities


class _Order:
    def __init__(self, runs: np.ndarray, counts: np.ndarray, vocab_size: int) -> None:
        """`runs`: (n,) distinct n-grams as sorted numbers; `counts`: (n,) of each."""
        self._runs, self._counts, self._vocab_size = runs, counts, vocab_size
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        # Without singletons there is no estimate, yet unseen n-grams need a share.
        self._discount = once / (once + 2 * twice) if once else 0.5
        self._contexts, starts, self._kinds = np.unique(runs // vocab_size, return_index=True, return_counts=True)
        self._totals = np.add.reduceat(counts, starts) if len(starts) else counts

    def interpolate(self, contexts: np.ndarray, ids: np.ndarray, below: np.ndarray) -> np.ndarray:
        """(n,) probabilities of ids after their contexts; after unseen contexts those of the order below."""
        totals, kinds = (_look_up(self._contexts, values, contexts) for values in (self._totals, self._kinds))
        counts = _look_up(self._runs, self._counts, contexts * self._vocab_size + ids)
        own = np.maximum(0.0, counts - self._discount)
        return np.where(totals > 0, (own + self._discount * kinds * below) / np.maximum(totals, 1), below)


def _look_up(keys: np.ndarray, values: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The value of each queried key, 0 where absent. `keys` are sorted."""
    if not len(keys):
        return np.zeros(len(queries), dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, queries), len(keys) - 1)
    return np.where(keys[places] == queries, values[places], 0)
