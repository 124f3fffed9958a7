"""Predictions of the test split: confusion matrix, most confident mistakes, calibration, precision-recall curves."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gptmill.evaluation import calibration, precision_recall
from gptmill.report.inputs import Prediction


def confusion(predictions: Sequence[Prediction]) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """Rows of the confusion matrix: (actual label, texts, [(predicted label, texts)])."""
    labels = _labels(predictions)
    counts = Counter((p.actual, p.predicted) for p in predictions)
    rows = {actual: [(predicted, counts[actual, predicted]) for predicted in labels] for actual in labels}
    return [(actual, sum(count for _, count in row), row) for actual, row in rows.items()]


def most_confident_mistakes(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The wrong predictions by falling probability."""
    return sorted((p for p in predictions if not p.correct), key=lambda p: -p.probability)


@dataclass(frozen=True)
class Calibration:
    bins: list[calibration.Bin]
    error: float  # expected calibration error, 0 to 1
    confidence: float  # mean top-1 probability
    accuracy: float

    @property
    def verdict(self) -> str:
        if self.error < 0.02:
            return "It is well calibrated."
        if self.confidence > self.accuracy:
            return "It is overconfident: its probabilities are too high."
        return "It is underconfident: its probabilities are too low."


def calibrate(predictions: Sequence[Prediction]) -> Calibration:
    probabilities, correct = [p.probability for p in predictions], [p.correct for p in predictions]
    bins = calibration.bins(probabilities, correct)
    rows = len(predictions)
    return Calibration(bins, calibration.error(bins), sum(probabilities) / rows, sum(correct) / rows)


@dataclass(frozen=True)
class PrecisionRecall:
    """`curves`: of `scores_of`, or one per class. `operating_point`: recall and precision of the predicted labels."""

    curves: list[precision_recall.Curve]
    average: float  # mean of the curves' average precisions
    operating_point: tuple[float, float] | None


def precision_recall_curves(predictions: Sequence[Prediction], scores_of: str) -> PrecisionRecall | None:
    """None where only one class has texts, or of more than two classes only the top-1 probability is known."""
    labels = _labels(predictions)
    if len(labels) > 2 and not all(p.probabilities for p in predictions):
        return None
    every = [
        precision_recall.curve(label, [_of(p, label) for p in predictions], [p.actual == label for p in predictions])
        for label in ([scores_of] if scores_of in labels else labels)
    ]
    curves = [curve for curve in every if curve]
    if not curves:
        return None
    point = _operating_point(predictions, curves[0].label) if len(curves) == 1 else None
    return PrecisionRecall(curves, sum(curve.average for curve in curves) / len(curves), point)


def _operating_point(predictions: Sequence[Prediction], label: str) -> tuple[float, float] | None:
    hits = sum(p.actual == p.predicted == label for p in predictions)
    predicted = sum(p.predicted == label for p in predictions)
    return (hits / sum(p.actual == label for p in predictions), hits / predicted) if predicted else None


def _of(prediction: Prediction, label: str) -> float:
    """The probability of `label`; of two classes it follows from the top-1 probability."""
    if prediction.probabilities:
        return prediction.probabilities.get(label, 0.0)
    return prediction.probability if prediction.predicted == label else 1 - prediction.probability


def _labels(predictions: Sequence[Prediction]) -> list[str]:
    every = ([p.actual, p.predicted, *p.probabilities] for p in predictions)
    return sorted({label for labels in every for label in labels})
