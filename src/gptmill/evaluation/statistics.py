"""Confidence intervals, paired comparison and rank correlation, by scipy, with fixed seeds."""

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import DegenerateDataWarning, binomtest, bootstrap, spearmanr

RESAMPLES = 2000
AT_ONCE = 4_000_000  # indices of resamples in memory
Z_95 = 1.96  # standard normal quantile of a 95% interval, as tables round it

Interval = tuple[float, float]


def interval(
    statistic: Callable[..., np.ndarray],
    *samples: Sequence[float],
    tail: float = 0.025,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Percentile bootstrap interval (Efron 1979), 95% by default; None where no resample has a finite value.

    `statistic` takes the samples, (rows,) each, resampled in pairs to (resamples, rows), and `axis`. NaN: undefined.
    """
    rows = len(samples[0])
    if rows == 1:  # scipy wants two rows
        samples, rows = tuple(np.repeat(sample, 2) for sample in samples), 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # of undefined values
        result = bootstrap(
            samples, statistic, paired=True, vectorized=True, method="percentile",
            n_resamples=resamples, batch=max(1, AT_ONCE // rows), rng=np.random.default_rng(seed),
        )  # fmt: skip
    values = result.bootstrap_distribution[np.isfinite(result.bootstrap_distribution)]
    if not len(values):
        return None
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def share_interval(hits: int, total: int) -> Interval:
    """Wilson's 95% score interval of the share hits / total (Wilson 1927)."""
    result = binomtest(hits, total).proportion_ci(math.erf(Z_95 / math.sqrt(2)), method="wilson")
    return float(result.low), float(result.high)


def mean(scores: Sequence[float]) -> tuple[float, float, float]:
    """The mean of one or more scores, and its 95% interval."""
    values = np.asarray(scores, dtype=float)
    low, high = interval(np.mean, values)
    return float(values.mean()), low, high


def compare(scores: Sequence[float | None], others: Sequence[float | None]) -> dict[str, float]:
    """Mean paired gain of `scores` over `others` (same questions, same order) with its 95% interval, and `win_rate`.

    Pairs without both scores are left out; empty where none is left. A tie is half a win.
    """
    pairs = [(one, other) for one, other in zip(scores, others, strict=True) if one is not None and other is not None]
    if not pairs:
        return {}
    gain, low, high = mean([one - other for one, other in pairs])
    wins = sum(1.0 if one > other else 0.5 if one == other else 0.0 for one, other in pairs) / len(pairs)
    return {"gain": round(gain, 2), "gain_low": round(low, 2), "gain_high": round(high, 2), "win_rate": round(wins, 4)}


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's; None where either side has fewer than two different values."""
    return float(spearmanr(one, other).statistic) if min(len(set(one)), len(set(other))) > 1 else None
