"""The decision: from what was measured to promoted, kept or refused, with reasons. No model, no file and no server is touched here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gptmill.config.schema import PromotionParams

RESAMPLES = 10_000
CALIBRATION, RECALL = (
    "calibration_error",
    "recall ",
)  # figures that guards look at; of the second there is one for each class

Verdict = Literal["promoted", "kept", "refused"]


@dataclass(frozen=True)
class Measured:
    """What a model did on the test data: a score for each item, more is better, and figures about it as a whole."""

    scores: Sequence[float]
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class Decision:
    verdict: Verdict
    reasons: list[str]
    figures: dict[str, float] = field(default_factory=dict)


def interval(differences: Sequence[float], confidence: float, seed: int) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of paired differences (Efron and Tibshirani 1993, chapter 13)."""
    values, rng = np.asarray(differences, dtype=float), np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def broken_guards(challenger: Measured, params: PromotionParams) -> list[str]:
    """What a model must not do, however good it is on average, and this one does."""
    found = []
    for name, value in challenger.figures.items():
        if name.startswith(RECALL) and value < params.min_recall:
            found.append(f"{name} is {value:.3f}, below promotion.min_recall ({params.min_recall})")
        if name == CALIBRATION and value > params.max_calibration_error:
            found.append(
                f"calibration error is {value:.3f}, above promotion.max_calibration_error ({params.max_calibration_error})"
            )
    return found


def decide(
    challenger: Measured, champion: Measured | None, measure: str, params: PromotionParams, seed: int
) -> Decision:
    """`measure`: what the scores are, in words. Without a champion, guards that hold are enough."""
    figures = {
        "challenger": challenger.mean,
        **{f"challenger {name}": value for name, value in challenger.figures.items()},
    }
    if broken := broken_guards(challenger, params):
        return Decision("refused", broken, figures)
    if champion is None:
        return Decision(
            "promoted",
            [f"no champion's scores to compare with; {measure} {challenger.mean:.4f}, and the guards hold"],
            figures,
        )
    differences = [ours - theirs for ours, theirs in zip(challenger.scores, champion.scores, strict=True)]
    low, high = interval(differences, params.confidence, seed)
    figures |= {
        "champion": champion.mean,
        "difference": float(np.mean(differences)),
        "difference low": low,
        "difference high": high,
    }
    better = low > params.margin
    said = (
        f"{measure} {challenger.mean:.4f}, the champion's {champion.mean:.4f}, on the same {len(differences):,} items; the difference lies "
        f"between {low:+.4f} and {high:+.4f} ({params.confidence:.0%}), {'' if better else 'not '}above the margin {params.margin}"
    )
    return Decision("promoted" if better else "kept", [said], figures)
