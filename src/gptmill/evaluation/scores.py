"""Accuracy, precision, recall and F1 of a classifier."""

from collections.abc import Sequence
from typing import Any

from sklearn.metrics import accuracy_score, precision_recall_fscore_support


def scores_of(classes: Sequence[str]) -> str:
    """The class that precision, recall and F1 are about: the last of two, or the mean over more."""
    return classes[-1] if len(classes) == 2 else f"{len(classes)} classes, averaged"


def scores(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy, precision, recall and F1, 0 to 1. A class that does not occur scores 0.

    Of two `classes`, the last one's. Of more, macro averages, and `per_class`: F1 of each.
    """
    scored = list(classes[-1:] if len(classes) == 2 else classes)
    by_class = precision_recall_fscore_support(labels, predicted, labels=scored, average=None, zero_division=0)[:3]
    precision, recall, f1 = (round(float(values.mean()), 4) for values in by_class)
    accuracy = round(float(accuracy_score(labels, predicted)), 4)
    metrics = {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1, "rows": len(labels)}
    if len(scored) > 1:
        metrics["per_class"] = {label: round(float(value), 4) for label, value in zip(scored, by_class[2], strict=True)}
    return metrics
