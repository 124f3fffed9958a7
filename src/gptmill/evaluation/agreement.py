"""Agreement of a judge's scores with given scores: by people, or by a judge that is trusted more.

Pearson (linear), Spearman and Kendall's tau-b (rank), Cohen's kappa with quadratic weights (1968; scores rounded to
tens) and the mean absolute error in points, each with a 95% bootstrap interval over the answers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.evaluation.answer_files import given_scores, read_answers
from gptmill.evaluation.judges import Judge
from gptmill.evaluation.judges.reference import ReferenceJudge, coefficients
from gptmill.evaluation.judges.reference_fit import FOLDS, Examples
from gptmill.evaluation.judges.run import judge_all
from gptmill.evaluation.statistics import interval


def measure(judge: Judge, path: Path, column: str) -> dict[str, Any]:
    """reports/agreement.json: the agreement of a judge with the scores under `column` of a file of answers.

    On the file that the reference judge was fitted on, scores are cross-validated, by exponents fitted without that
    answer; `in_sample` has those of the full fit. Raises `GptmillError` for an invalid file.
    """
    records = read_answers(path)
    given = given_scores(records, column, path)
    scores = [record["score"] for record in judge_all(judge, records)]
    fitted_on = coefficients()["fitted_on"]
    digest = files.digest(path)
    cross_validated = isinstance(judge, ReferenceJudge) and digest == fitted_on["sha256"]
    source = {"judge": judge.name, "against": column, "file": path.name, "sha256": digest}
    if not cross_validated:
        return source | {"cross_validated": False, "note": ""} | agreement(scores, given) | {"in_sample": None}
    held_out = Examples(records, given_scores(records, fitted_on["column"], path)).out_of_fold().tolist()
    note = (
        f"The judge was fitted on this very file ({fitted_on['column']}), so it is cross-validated here: each answer's "
        f"score is by exponents fitted without it ({FOLDS} folds)."
    )
    result = source | {"cross_validated": True, "note": note} | agreement(held_out, given)
    return result | {"in_sample": agreement(scores, given)}


def agreement(scores: Sequence[float | None], given: Sequence[float]) -> dict[str, Any]:
    """`judged`, `failed`, and each measure of the judged answers with `_low` and `_high`.

    None where a measure is undefined: a correlation of fewer than two answers, or of scores that are all the same.
    """
    pairs = [(ours, theirs) for ours, theirs in zip(scores, given, strict=True) if ours is not None]
    if not pairs:
        raise GptmillError("no answer has a score: there is nothing that could agree")
    ours, theirs = np.array(pairs, dtype=float).T
    result: dict[str, Any] = {"judged": len(pairs), "failed": len(scores) - len(pairs)}
    measures = {"pearson": _pearson, "spearman": _spearman, "kendall": _kendall, "kappa": _kappa, "mae": _mae}
    for name, of in measures.items():
        value = float(of(ours, theirs))
        low, high = (interval(of, ours, theirs) if np.isfinite(value) else None) or (None, None)
        for end, number in (("", value), ("_low", low), ("_high", high)):
            result[f"{name}{end}"] = round(number, 4) if number is not None and np.isfinite(number) else None
    return result


# Each reduces the last axis of two arrays of scores, to NaN where it is undefined.


def _pearson(ours: np.ndarray, theirs: np.ndarray, axis: int = -1) -> np.ndarray:
    ours, theirs = (values - values.mean(axis=axis, keepdims=True) for values in (ours, theirs))
    scale = np.sqrt((ours**2).sum(axis=axis) * (theirs**2).sum(axis=axis))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 1e-9, (ours * theirs).sum(axis=axis) / scale, np.nan)


def _spearman(ours: np.ndarray, theirs: np.ndarray, axis: int = -1) -> np.ndarray:
    return _pearson(rankdata(ours, axis=axis), rankdata(theirs, axis=axis), axis)


def _kendall(ours: np.ndarray, theirs: np.ndarray, axis: int = -1) -> np.ndarray:
    if ours.shape[axis] < 2:
        return np.array(np.nan)
    return kendalltau(ours, theirs, axis=axis).statistic


def _kappa(ours: np.ndarray, theirs: np.ndarray, axis: int = -1) -> np.ndarray:
    ours, theirs = (np.rint(values / 10) for values in (ours, theirs))
    observed = ((ours - theirs) ** 2).mean(axis=axis)
    # By chance, each of ours would meet each of theirs: E(a-b)² = var a + var b + (mean a - mean b)².
    chance = ours.var(axis=axis) + theirs.var(axis=axis) + (ours.mean(axis=axis) - theirs.mean(axis=axis)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 1e-9, 1 - observed / chance, np.nan)


def _mae(ours: np.ndarray, theirs: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.abs(ours - theirs).mean(axis=axis)
