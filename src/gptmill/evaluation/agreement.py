"""How far a judge's scores agree with scores that were given before: by people, or by a judge that is trusted more.

Pearson (linear), Spearman and Kendall's tau-b (order), Cohen's kappa with quadratic weights (1968; of scores rounded to tens, from 0 to
100), and the mean absolute error in points. Each has a 95% bootstrap interval over the answers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.evaluation.answer_files import given_scores, read_answers
from gptmill.evaluation.judges import Judge
from gptmill.evaluation.judges.reference import ReferenceJudge, coefficients
from gptmill.evaluation.judges.run import judge_all
from gptmill.evaluation.statistics import interval


def measure(judge: Judge, path: Path, column: str) -> dict[str, Any]:
    """The agreement of a judge with the scores under `column` of the answers in that file; and who judged what, for people.

    On the very answers that the reference judge was fitted on, each score is by exponents that were fitted without that answer
    (cross-validation); what it would be otherwise stands under `in_sample`. Raises `GptmillError` for a file that can't be read so.
    """
    records = read_answers(path)
    given = given_scores(records, column, path)
    scores = [record["score"] for record in judge_all(judge, records)]
    fitted_on = coefficients()["fitted_on"]
    digest = files.digest(path)
    cross_validated = isinstance(judge, ReferenceJudge) and digest == fitted_on["sha256"]
    found = {
        "judge": judge.name,
        "against": column,
        "file": path.name,
        "sha256": digest,
        "cross_validated": cross_validated,
        "note": "",
    }
    if not cross_validated:
        return found | agreement(scores, given) | {"in_sample": None}
    from gptmill.evaluation.judges.reference_fit import FOLDS, Examples

    held_out = Examples(records, given_scores(records, fitted_on["column"], path)).out_of_fold().tolist()
    found["note"] = (
        f"The judge was fitted on this very file ({fitted_on['column']}), so it is cross-validated here: each answer's score is by "
        f"exponents fitted without it ({FOLDS} folds)."
    )
    return found | agreement(held_out, given) | {"in_sample": agreement(scores, given)}


def agreement(scores: Sequence[float | None], given: Sequence[float]) -> dict[str, Any]:
    """`judged`, `failed`, and each measure of the judged ones with `_low` and `_high`.

    A measure is None where it is not defined: a correlation of fewer than two answers, or of scores that are all the same.
    """
    pairs = [(ours, theirs) for ours, theirs in zip(scores, given, strict=True) if ours is not None]
    if not pairs:
        raise GptmillError("no answer has a score: there is nothing that could agree")
    ours, theirs = np.array(pairs, dtype=float).T
    found: dict[str, Any] = {"judged": len(pairs), "failed": len(scores) - len(pairs)}
    measures = {"pearson": _pearson, "spearman": _spearman, "kendall": _kendall, "kappa": _kappa, "mae": _mae}
    for name, of in measures.items():
        value = float(of(ours[None], theirs[None])[0])
        within = interval(lambda rows, of=of: of(ours[rows], theirs[rows]), len(ours)) if np.isfinite(value) else None
        for end, number in zip(("", "_low", "_high"), (value, *(within or (None, None))), strict=True):
            found[f"{name}{end}"] = round(number, 4) if number is not None and np.isfinite(number) else None
    return found


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
