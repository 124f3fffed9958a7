"""How good a classifier is: the usual figures from labels and predictions."""

from collections.abc import Sequence
from typing import Any


def scores_of(classes: Sequence[str]) -> str:
    """What precision, recall and F1 are about, in words: of two classes the last one, of more each alike."""
    return classes[-1] if len(classes) == 2 else f"{len(classes)} classes, averaged"


def scores(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy over all, precision, recall and F1; shares from 0 to 1. A class that does not occur scores 0.

    Of two `classes`, the last one's. Of more, their means over the classes, each weighing the same (macro), and `per_class`: F1 of each.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    asked = list(classes[-1:] if len(classes) == 2 else classes)
    by_class = precision_recall_fscore_support(labels, predicted, labels=asked, average=None, zero_division=0)[:3]
    precision, recall, f1 = (round(float(values.mean()), 4) for values in by_class)
    found = {
        "accuracy": round(float(accuracy_score(labels, predicted)), 4),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }
    found["rows"] = len(labels)
    if len(asked) > 1:
        found["per_class"] = {label: round(float(value), 4) for label, value in zip(asked, by_class[2], strict=True)}
    return found
