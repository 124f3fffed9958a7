"""Precision-recall curve of a classifier, over all thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.metrics import average_precision_score, precision_recall_curve


@dataclass(frozen=True)
class Curve:
    """`recall` rises from 0 to 1. `average`: average precision (scikit-learn's `average_precision_score`)."""

    label: str
    recall: list[float]
    precision: list[float]
    average: float
    share: float  # of the texts of this class: the precision of guessing


def curve(label: str, probabilities: Sequence[float], is_label: Sequence[bool]) -> Curve | None:
    """`probabilities`: of class `label`, per text. None where all texts or none are of that class."""
    if all(is_label) or not any(is_label):
        return None
    precision, recall, _ = precision_recall_curve(is_label, probabilities)
    average = float(average_precision_score(is_label, probabilities))
    return Curve(label, recall[::-1].tolist(), precision[::-1].tolist(), average, sum(is_label) / len(is_label))
