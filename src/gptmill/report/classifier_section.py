"""What the predictions of the test split show: confusion, the surest mistakes, calibration, precision and recall."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gptmill.evaluation import calibration, precision_recall
from gptmill.report.inputs import Prediction


def confusion(predictions: Sequence[Prediction]) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """(actual label, how many, [(predicted label, how many of these)]) for each label."""
    labels = _labels(predictions)
    counts = Counter((p.actual, p.predicted) for p in predictions)
    return [
        (
            actual,
            sum(counts[actual, predicted] for predicted in labels),
            [(predicted, counts[actual, predicted]) for predicted in labels],
        )
        for actual in labels
    ]


def surest_mistakes(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The wrong predictions, the surest first; in the order of the file where they are equally sure."""
    return sorted((p for p in predictions if not p.right), key=lambda p: -p.probability)


@dataclass(frozen=True)
class Calibration:
    bins: list[calibration.Bin]
    error: float  # 0 to 1
    sure: float  # mean probability
    right: float  # share

    @property
    def verdict(self) -> str:
        if self.error < 0.02:
            return "It is about as sure as it is right."
        if self.sure > self.right:
            return "It is surer than it is right: its probabilities promise too much."
        return "It is more often right than it is sure: its probabilities promise too little."


def calibrate(predictions: Sequence[Prediction]) -> Calibration:
    sure, right = [p.probability for p in predictions], [p.right for p in predictions]
    bins = calibration.bins(sure, right)
    return Calibration(bins, calibration.error(bins), sum(sure) / len(sure), sum(right) / len(right))


@dataclass(frozen=True)
class Sweep:
    """`curves`: of two classes that of `scores_of`, of more one for each. `chosen`: recall and precision of the labels as given."""

    curves: list[precision_recall.Curve]
    average: float  # mean of the curves' average precisions
    chosen: tuple[float, float] | None


def sweep(predictions: Sequence[Prediction], scores_of: str) -> Sweep | None:
    """None where it can't be drawn: no class has texts, or of more than two classes the file has the likeliest one's probability alone."""
    labels = _labels(predictions)
    asked = [scores_of] if scores_of in labels else labels
    if len(labels) > 2 and not all(p.probabilities for p in predictions):
        return None
    found = [
        precision_recall.curve(label, [_of(p, label) for p in predictions], [p.actual == label for p in predictions])
        for label in asked
    ]
    curves = [curve for curve in found if curve]
    if not curves:
        return None
    return Sweep(
        curves,
        sum(curve.average for curve in curves) / len(curves),
        _chosen(predictions, curves[0].label) if len(curves) == 1 else None,
    )


def _chosen(predictions: Sequence[Prediction], label: str) -> tuple[float, float] | None:
    hits = sum(p.actual == p.predicted == label for p in predictions)
    called = sum(p.predicted == label for p in predictions)
    return (hits / sum(p.actual == label for p in predictions), hits / called) if called else None


def _of(prediction: Prediction, label: str) -> float:
    """How probable `label` is; of two classes it follows from the likeliest one's."""
    if prediction.probabilities:
        return prediction.probabilities.get(label, 0.0)
    return prediction.probability if prediction.predicted == label else 1 - prediction.probability


def _labels(predictions: Sequence[Prediction]) -> list[str]:
    every = ([p.actual, p.predicted, *p.probabilities] for p in predictions)
    return sorted({label for labels in every for label in labels})
