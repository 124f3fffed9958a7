"""The decision: from measurements to promoted, not promoted or refused, with reasons. It has no side effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gptmill.config.schema import PromotionParams
from gptmill.evaluation.statistics import interval

RESAMPLES = 10_000
CALIBRATION, RECALL = "calibration_error", "recall "  # figures with guards; recall has one per class

Verdict = Literal["promoted", "not promoted", "refused"]


@dataclass(frozen=True)
class Measured:
    """A model on the test data: a score per item, higher is better, and figures of the whole."""

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


def broken_guards(challenger: Measured, params: PromotionParams) -> list[str]:
    """The limits that a model must hold whatever its score, and that this one does not."""
    broken = []
    for name, value in challenger.figures.items():
        if name.startswith(RECALL) and value < params.min_recall:
            broken.append(f"{name} is {value:.3f}, below promotion.min_recall ({params.min_recall})")
        if name == CALIBRATION and value > params.max_calibration_error:
            limit = f"promotion.max_calibration_error ({params.max_calibration_error})"
            broken.append(f"calibration error is {value:.3f}, above {limit}")
    return broken


def decide(
    challenger: Measured, champion: Measured | None, measure: str, params: PromotionParams, seed: int
) -> Decision:
    """`measure`: what the scores are, in words. Without a champion, guards that hold are enough."""
    figures = {"challenger": challenger.mean}
    figures |= {f"challenger {name}": value for name, value in challenger.figures.items()}
    if broken := broken_guards(challenger, params):
        return Decision("refused", broken, figures)
    if champion is None:
        reason = f"no champion's scores to compare with; {measure} {challenger.mean:.4f}, and the guards hold"
        return Decision("promoted", [reason], figures)
    differences = [ours - theirs for ours, theirs in zip(challenger.scores, champion.scores, strict=True)]
    tail = (1 - params.confidence) / 2
    low, high = interval(np.mean, differences, tail=tail, resamples=RESAMPLES, seed=seed)
    mean = float(np.mean(differences))
    figures |= {"champion": champion.mean, "difference": mean, "difference low": low, "difference high": high}
    better = low > params.margin
    reason = (
        f"{measure} {challenger.mean:.4f}, the champion's {champion.mean:.4f}, on the same {len(differences):,} items; "
        f"the difference lies between {low:+.4f} and {high:+.4f} ({params.confidence:.0%}), "
        f"{'' if better else 'not '}above the margin {params.margin}"
    )
    return Decision("promoted" if better else "not promoted", [reason], figures)
