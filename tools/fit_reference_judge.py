"""Fits the reference judge's exponents to given scores: `python -m tools.fit_reference_judge FILE --against gpt4`.

FILE is a list of records with `instruction`, `input`, `output`, `response` and a column of scores from 0 to 100. Prints
how well held-out scores are predicted (repeated k-fold cross-validation), and writes the exponents to reference.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gptmill.core import files
from gptmill.core.terminal import exit_on_error, say
from gptmill.evaluation.answer_files import given_scores, read_answers
from gptmill.evaluation.judges import reference
from gptmill.evaluation.judges.reference_fit import FOLDS, Examples

REPEATS = 20


def fit(path: Path, column: str) -> dict:
    """The content of reference.json, for a file of answers and its column of scores."""
    from scipy.stats import pearsonr, spearmanr

    records = read_answers(path)
    examples = Examples(records, given_scores(records, column, path))
    rounds = [examples.out_of_fold(seed) for seed in range(REPEATS)]
    correlations = {
        name: round(float(np.mean([of(scores, examples.scores)[0] for scores in rounds])), 3)
        for name, of in (("pearson", pearsonr), ("spearman", spearmanr))
    }
    return {
        "score": "100 * " + " * ".join(f"{name}^exponent" for name in reference.FEATURES),
        "exponents": examples.fit(np.arange(len(records))),
        "fitted_on": {"file": path.name, "sha256": files.digest(path), "records": len(records), "column": column},
        "cross_validated": {"folds": FOLDS, "repeats": REPEATS, **correlations},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--against", default="gpt4", help="the column of scores")
    default = Path(reference.__file__).with_name(reference.COEFFICIENTS)
    parser.add_argument("--to", type=Path, default=default, help="the file to write")
    options = parser.parse_args(arguments)
    result = fit(options.file, options.against)
    files.write_json(options.to, result)
    folds = result["cross_validated"]
    correlations = f"Pearson {folds['pearson']}, Spearman {folds['spearman']} with {options.against}"
    say(f"exponents: {', '.join(f'{name} {value}' for name, value in result['exponents'].items())}")
    say(f"{folds['repeats']} times {folds['folds']}-fold: {correlations}")
    say(f"written to {options.to}")


if __name__ == "__main__":
    with exit_on_error():
        main()
