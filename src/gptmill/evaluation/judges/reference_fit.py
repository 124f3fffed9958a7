"""Fit of the reference judge's exponents to given scores, with cross-validation (tools/fit_reference_judge.py)."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize

from gptmill.evaluation.judges import Record
from gptmill.evaluation.judges.reference import FEATURES, FLOOR, UNRELATED, score
from gptmill.evaluation.judges.reference_features import Question

FOLDS = 10
# Set, not fitted: the scored answers hold no heaps of keywords to learn this exponent from.
SET = {"pairs": 1.0}
RIDGE = 0.05  # pulls the exponents to 0; of the order of one answer in twenty, chosen beforehand and not tuned


class Examples:
    """Answers with their features, and the scores that they were given (0 to 100)."""

    def __init__(self, records: Sequence[Record], scores: Sequence[float]) -> None:
        questions = [
            Question(*(str(record[name]) for name in ("instruction", "input", "output"))) for record in records
        ]
        answers = [str(record["response"]) for record in records]
        self.same = np.array([question.same(answer) for question, answer in zip(questions, answers, strict=True)])
        self.shares = [question.features(answer) for question, answer in zip(questions, answers, strict=True)]
        self.scores = np.asarray(scores, dtype=float)

    def fit(self, rows: np.ndarray) -> dict[str, float]:
        """The exponents (none below 0) of least squared error on `rows`. Exact copies of the reference need no fit."""
        rows = [row for row in rows if not self.same[row] and self.shares[row]["order"] >= UNRELATED]
        logs = {name: np.log([max(self.shares[row][name], FLOOR) for row in rows]) for name in FEATURES}
        fitted = np.stack([logs[name] for name in FEATURES if name not in SET], axis=-1)  # rows, exponents
        fixed = sum(exponent * logs[name] for name, exponent in SET.items())
        targets = self.scores[rows] / 100

        def loss(exponents: np.ndarray) -> tuple[float, np.ndarray]:
            predicted = np.exp(fixed + fitted @ exponents)
            error = predicted - targets
            gradient = 2 * (error * predicted) @ fitted + 2 * RIDGE * exponents
            return error @ error + RIDGE * exponents @ exponents, gradient

        start = np.ones(fitted.shape[1])
        best = iter(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start)).x)
        return {name: SET[name] if name in SET else round(float(next(best)), 3) for name in FEATURES}

    def predict(self, row: int, exponents: Mapping[str, float]) -> int:
        return score(self.same[row], self.shares[row], exponents)

    def out_of_fold(self, seed: int = 0) -> np.ndarray:
        """Cross-validated scores: each by exponents that were fitted without that answer."""
        order = np.random.default_rng(seed).permutation(len(self.scores))
        scores = np.zeros(len(order))
        for fold in range(min(FOLDS, len(order))):
            held_out = order[fold::FOLDS]
            exponents = self.fit(np.setdiff1d(order, held_out))
            scores[held_out] = [self.predict(row, exponents) for row in held_out]
        return scores
