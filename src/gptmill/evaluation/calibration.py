"""Whether a classifier is as sure as it is right: its probabilities in bins, and how far each bin is off (Guo et al. 2017).

What is looked at is how sure it is of the class that it predicts. Of the texts of which it is 80% sure, 80 of 100 should be put right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 15  # as there


@dataclass(frozen=True)
class Bin:
    """Predictions with a probability above `low` and up to `high`; the first bin has those of `low` too."""

    low: float
    high: float
    count: int
    sure: float  # mean probability
    right: float  # share that is right

    @property
    def gap(self) -> float:
        """Positive where it is surer than it is right."""
        return self.sure - self.right


def bins(probabilities: Sequence[float], right: Sequence[bool], number: int = BINS) -> list[Bin]:
    """Bins of equal width from 0 to 1; those in which nothing is are left out. `probabilities`: of the predicted class of each text."""
    found = []
    for place in range(number):
        low, high = place / number, (place + 1) / number
        within = [
            (probability, hit)
            for probability, hit in zip(probabilities, right, strict=True)
            if low < probability <= high or (place == 0 and probability == 0)
        ]
        if within:
            sure, hits = zip(*within, strict=True)
            found.append(Bin(low, high, len(within), sum(sure) / len(within), sum(hits) / len(within)))
    return found


def error(found: Sequence[Bin]) -> float:
    """Expected calibration error, 0 to 1: the mean gap of the bins, each weighing as much as it has texts."""
    total = sum(part.count for part in found)
    return sum(part.count * abs(part.gap) for part in found) / total if total else 0.0
