"""Calibration of top-1 probabilities: reliability bins and expected calibration error (Guo et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 15  # as in the paper


@dataclass(frozen=True)
class Bin:
    """Predictions with a probability in (low, high]; 0 is in the first bin."""

    low: float
    high: float
    count: int
    confidence: float  # mean probability
    accuracy: float

    @property
    def gap(self) -> float:
        """Positive where overconfident."""
        return self.confidence - self.accuracy


def bins(probabilities: Sequence[float], correct: Sequence[bool], number: int = BINS) -> list[Bin]:
    """Non-empty bins of equal width from 0 to 1. `probabilities`: of each text's predicted class."""
    predictions = list(zip(probabilities, correct, strict=True))
    result = []
    for place in range(number):
        low, high = place / number, (place + 1) / number
        within = [each for each in predictions if low < each[0] <= high or each[0] == low == 0]
        if within:
            confidence, hits = zip(*within, strict=True)
            result.append(Bin(low, high, len(within), sum(confidence) / len(within), sum(hits) / len(within)))
    return result


def error(every: Sequence[Bin]) -> float:
    """Expected calibration error, 0 to 1: the mean gap, bins weighted by their texts."""
    total = sum(part.count for part in every)
    return sum(part.count * abs(part.gap) for part in every) / total if total else 0.0
