"""How far a judge's scores agree with scores that were given before: by people, or by a judge that is trusted more.

Pearson (linear), Spearman and Kendall's tau-b (order), Cohen's kappa with quadratic weights (1968; scores rounded to tens, 0 to 100), and the
mean absolute error in points. Each has a 95% bootstrap interval over the answers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gptmill.evaluation.statistics import interval

MEASURES = ("pearson", "spearman", "kendall", "kappa", "mae")


def agreement(scores: Sequence[float | None], given: Sequence[float]) -> dict[str, Any]:
    """`judged`, `failed`, and each measure of the judged ones with `_low` and `_high`.

    A measure is None where it is not defined: a correlation of fewer than two answers, or of scores that are all the same.
    """
    pairs = [(ours, theirs) for ours, theirs in zip(scores, given, strict=True) if ours is not None]
    found: dict[str, Any] = {"judged": len(pairs), "failed": len(scores) - len(pairs)}
    if not pairs:
        return found | dict.fromkeys(_keys())
    ours, theirs = np.array(pairs, dtype=float).T
    for name in MEASURES:
        measure = globals()[f"_{name}"]
        value = float(measure(ours[None], theirs[None])[0])
        within = interval(lambda rows, measure=measure: measure(ours[rows], theirs[rows]), len(ours)) if np.isfinite(value) else None
        low, high = within or (None, None)
        found |= {key: _rounded(number) for key, number in zip(_keys(name), (value, low, high), strict=True)}
    return found


def _keys(*names: str) -> list[str]:
    return [f"{name}{end}" for name in names or MEASURES for end in ("", "_low", "_high")]


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None and np.isfinite(value) else None


# Each takes scores of shape (resamples, answers) and gives a value for each resample, NaN where there is none.


def _pearson(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    ours, theirs = (values - values.mean(axis=1, keepdims=True) for values in (ours, theirs))
    scale = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 1e-9, (ours * theirs).sum(axis=1) / scale, np.nan)


def _spearman(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return _pearson(rankdata(ours, axis=1), rankdata(theirs, axis=1))


def _kendall(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    from scipy.stats import kendalltau

    constant = (np.ptp(ours, axis=1) == 0) | (np.ptp(theirs, axis=1) == 0)
    return np.array([
        np.nan if same else kendalltau(one, other).statistic for same, one, other in zip(constant, ours, theirs, strict=True)
    ])  # fmt: skip


def _kappa(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    ours, theirs = (np.rint(values / 10) for values in (ours, theirs))
    observed = ((ours - theirs) ** 2).mean(axis=1)
    # By chance, each of ours would meet each of theirs: E(a-b)² = var a + var b + (mean a - mean b)².
    chance = ours.var(axis=1) + theirs.var(axis=1) + (ours.mean(axis=1) - theirs.mean(axis=1)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 1e-9, 1 - observed / chance, np.nan)


def _mae(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.abs(ours - theirs).mean(axis=1)
