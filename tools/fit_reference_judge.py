"""Fits the reference judge's exponents to scores that somebody gave: `python -m tools.fit_reference_judge FILE --against gpt4`.

FILE is a list of records with `instruction`, `input`, `output`, `response` and a column of scores from 0 to 100. Prints how well scores are
foretold for answers that were not fitted on (repeated k-fold cross-validation), and writes the exponents to reference.json.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gptmill.core import files
from gptmill.core.terminal import say
from gptmill.evaluation.answer_files import given_scores, read_answers
from gptmill.evaluation.judges import Record
from gptmill.evaluation.judges.features import Question
from gptmill.evaluation.judges.reference import COEFFICIENTS, FEATURES, FLOOR, UNRELATED, nearness, rounded

FOLDS, REPEATS = 10, 20
# Not fitted but set: the answers that were scored hold no heaps of keywords, from which it could be learnt what those are worth.
SET = {"pairs": 1.0}
RIDGE = 0.05  # pulls the exponents to 0; of the order of one answer in twenty, chosen beforehand and not tuned


class Examples:
    """Answers with their shares, and the scores that were given to them."""

    def __init__(self, records: Sequence[Record], scores: Sequence[float]) -> None:
        questions = [
            Question(*(str(record[part]) for part in ("instruction", "input", "output"))) for record in records
        ]
        answers = [str(record["response"]) for record in records]
        self.same = np.array([question.same(answer) for question, answer in zip(questions, answers, strict=True)])
        self.shares = [question.features(answer) for question, answer in zip(questions, answers, strict=True)]
        self.scores = np.asarray(scores, dtype=float)

    def fit(self, rows: np.ndarray) -> dict[str, float]:
        """The exponents, none below 0, with the least squared error on those rows. The reference's own words need no fitting."""
        from scipy.optimize import minimize

        rows = [row for row in rows if not self.same[row] and self.shares[row]["order"] >= UNRELATED]
        logs = {name: np.log([max(self.shares[row][name], FLOOR) for row in rows]) for name in FEATURES}
        fitted = np.stack([logs[name] for name in FEATURES if name not in SET], axis=-1)  # rows, exponents
        given = sum(exponent * logs[name] for name, exponent in SET.items())
        wanted = self.scores[rows] / 100

        def loss(exponents: np.ndarray) -> tuple[float, np.ndarray]:
            found = np.exp(given + fitted @ exponents)
            error = found - wanted
            return error @ error + RIDGE * exponents @ exponents, 2 * (error * found) @ fitted + 2 * RIDGE * exponents

        start = np.ones(fitted.shape[1])
        best = iter(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start)).x)
        return {name: SET[name] if name in SET else round(float(next(best)), 3) for name in FEATURES}

    def predict(self, row: int, exponents: Mapping[str, float]) -> int:
        return 100 if self.same[row] else rounded(nearness(self.shares[row], exponents))

    def out_of_fold(self, seed: int = 0) -> np.ndarray:
        """A score for each answer by exponents that were fitted without it."""
        order = np.random.default_rng(seed).permutation(len(self.scores))
        found = np.zeros(len(order))
        for fold in range(min(FOLDS, len(order))):
            held_out = order[fold::FOLDS]
            exponents = self.fit(np.setdiff1d(order, held_out))
            found[held_out] = [self.predict(row, exponents) for row in held_out]
        return found


def fit(path: Path, column: str) -> dict:
    """What reference.json holds, for a file of answers and its column of scores."""
    from scipy.stats import pearsonr, spearmanr

    records = read_answers(path)
    examples = Examples(records, given_scores(records, column, path))
    rounds = [examples.out_of_fold(seed) for seed in range(REPEATS)]
    return {
        "score": "100 * " + " * ".join(f"{name}^exponent" for name in FEATURES),
        "exponents": examples.fit(np.arange(len(records))),
        "fitted_on": {"file": path.name, "sha256": files.digest(path), "records": len(records), "column": column},
        "cross_validated": {
            "folds": FOLDS,
            "repeats": REPEATS,
            **{
                name: round(float(np.mean([of(found, examples.scores)[0] for found in rounds])), 3)
                for name, of in (("pearson", pearsonr), ("spearman", spearmanr))
            },
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--against", default="gpt4", help="the column of scores")
    parser.add_argument("--to", type=Path, default=Path(__file__).with_name(COEFFICIENTS), help="the file to write")
    options = parser.parse_args(arguments)
    found = fit(options.file, options.against)
    files.write_json(options.to, found)
    told = found["cross_validated"]
    say(f"exponents: {', '.join(f'{name} {value}' for name, value in found['exponents'].items())}")
    say(
        f"{told['repeats']} times {told['folds']}-fold: Pearson {told['pearson']}, Spearman {told['spearman']} with {options.against}"
    )
    say(f"written to {options.to}")


if __name__ == "__main__":
    main()
