import json

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.metrics import cohen_kappa_score

from gptmill.core.errors import GptmillError
from gptmill.evaluation.agreement import agreement, measure
from gptmill.evaluation.judges import reference
from gptmill.evaluation.judges.reference import ReferenceJudge
from gptmill.evaluation.judges.reference_fit import FOLDS, Examples
from tools import fit_reference_judge


def made_up(rows: int = 24) -> list[dict]:
    """Answers of which some are right, some nearly and some not, and scores for them."""
    towns = ["Ulm", "Bath", "Faro", "Brno", "Lund", "Gent"]
    records = []
    for row in range(rows):
        town, quality = towns[row % 6], row % 4
        answer = [f"The town is {town}.", f"It is {town}, by the river.", "The town is Rome.", "No idea at all."][
            quality
        ]
        question = {"instruction": f"Name town {row} on the map.", "input": "", "output": f"The town is {town}."}
        records.append(question | {"response": answer, "points": [100, 70, 10, 0][quality] - row % 5 * (quality == 1)})
    return records


def test_the_measures_are_scipys_and_sklearns():
    random = np.random.default_rng(5)
    given = random.integers(0, 101, size=60)
    ours = np.clip(given + random.integers(-30, 31, size=60), 0, 100)
    result = agreement(ours.tolist(), given.tolist())
    tens = (np.rint(values / 10).astype(int) for values in (ours, given))
    assert result["pearson"] == pytest.approx(pearsonr(ours, given).statistic, abs=1e-4)
    assert result["spearman"] == pytest.approx(spearmanr(ours, given).statistic, abs=1e-4)
    assert result["kendall"] == pytest.approx(kendalltau(ours, given).statistic, abs=1e-4)
    assert result["kappa"] == pytest.approx(cohen_kappa_score(*tens, weights="quadratic", labels=range(11)), abs=1e-4)
    assert result["mae"] == pytest.approx(np.abs(ours - given).mean(), abs=1e-4)
    assert all(
        result[f"{name}_low"] < result[name] < result[f"{name}_high"]
        for name in ("pearson", "spearman", "kendall", "kappa", "mae")
    )
    assert agreement(ours.tolist(), given.tolist()) == result


def test_what_failed_is_counted_and_left_out():
    result = agreement([10, None, 50, 90], [10, 100, 50, 90])
    assert (result["judged"], result["failed"], result["pearson"], result["kappa"], result["mae"]) == (3, 1, 1, 1, 0)
    with pytest.raises(GptmillError, match="no answer has a score"):
        agreement([None, None], [1, 2])


@pytest.mark.parametrize(("ours", "given"), [([50, 50, 50], [1, 2, 3]), ([1, 2, 3], [0, 0, 0]), ([7], [9])])
def test_what_is_not_defined_is_none_and_no_number(ours, given):
    result = agreement(ours, given)
    assert result["pearson"] is None and result["spearman_low"] is None and result["kendall"] is None
    assert result["mae"] == pytest.approx(np.abs(np.subtract(ours, given)).mean(), abs=1e-4)
    json.dumps(result, allow_nan=False)


def test_on_what_it_was_fitted_on_the_judge_is_cross_validated(tmp_path, monkeypatch, capsys):
    path = tmp_path / "scored.json"
    path.write_text(json.dumps(made_up()))
    assert measure(ReferenceJudge(), path, "points")["cross_validated"] is False
    fit_reference_judge.main([str(path), "--against", "points", "--to", str(tmp_path / "mine.json")])
    assert "Pearson" in capsys.readouterr().out
    mine = json.loads((tmp_path / "mine.json").read_text())
    assert mine["fitted_on"]["records"] == 24 and mine["cross_validated"]["pearson"] > 0.9
    monkeypatch.setattr("gptmill.evaluation.agreement.coefficients", lambda: mine)
    result = measure(ReferenceJudge(mine["exponents"]), path, "points")
    assert result["cross_validated"] and "fitted on this very file" in result["note"]
    assert result["in_sample"]["pearson"] >= result["pearson"] - 0.02 and result["in_sample"]["mae"] <= result["mae"]


def test_a_held_out_score_does_not_know_its_own_answers_score():
    records = made_up()
    scores = [record["points"] for record in records]
    held_out = Examples(records, scores).out_of_fold()
    order = np.random.default_rng(0).permutation(len(records))
    fold = order[0::FOLDS]
    changed = [100 - score if row in fold else score for row, score in enumerate(scores)]
    assert (Examples(records, changed).out_of_fold()[fold] == held_out[fold]).all()
    assert (Examples(records, changed).out_of_fold() != held_out).any()


def test_a_fit_finds_the_exponents_that_made_the_scores():
    records = made_up(60)
    examples = Examples(records, [0] * 60)
    expected = {"order": 1.4, "numbers": 0.3, "own": 0.7, "pairs": 1.0}
    examples.scores = np.array([100 * reference.nearness(shares, expected) for shares in examples.shares])
    result = examples.fit(np.arange(60))
    assert [examples.predict(row, result) for row in range(60)] == pytest.approx(
        [100 if same else score for same, score in zip(examples.same, examples.scores, strict=True)], abs=3
    )
