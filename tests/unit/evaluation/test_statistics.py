import numpy as np
import pytest
from scipy.stats import bootstrap

from gptmill.evaluation import statistics


def record(score, response="a b", instruction="Name it.", output="x", **more):
    return {"instruction": instruction, "input": "", "output": output, "response": response, "score": score, **more}


def test_the_interval_of_a_mean_is_scipys_and_the_same_each_time():
    scores = np.random.default_rng(3).normal(60, 20, size=80)
    centre, low, high = statistics.mean(scores)
    theirs = bootstrap((scores,), np.mean, method="percentile", n_resamples=9999, rng=1).confidence_interval
    assert (
        centre == pytest.approx(scores.mean())
        and low == pytest.approx(theirs.low, abs=0.5)
        and high == pytest.approx(theirs.high, abs=0.5)
    )
    assert statistics.mean(scores) == (centre, low, high)
    assert statistics.mean([40]) == (40, 40, 40)


def test_an_interval_holds_the_truth_about_19_times_in_20():
    random = np.random.default_rng(0)
    held = [low <= 50 <= high for _, low, high in (statistics.mean(random.normal(50, 10, size=40)) for _ in range(200))]
    assert 0.88 <= np.mean(held) <= 0.99


def test_many_answers_take_no_more_memory_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(statistics, "AT_ONCE", 1000)
    statistics.interval(lambda rows: asked.append(rows.size) or rows.mean(axis=1), 400)
    assert max(asked) <= 1000 and sum(asked) == statistics.RESAMPLES * 400


def test_two_runs_are_compared_in_pairs():
    found = statistics.compare([90, 50, 20, None, 70], [80, 50, 30, 10, None])
    assert found["gain"] == 0 and found["win_rate"] == 0.5 and found["gain_low"] <= 0 <= found["gain_high"]
    steady = statistics.compare([11, 91, 51], [10, 90, 50])
    assert (steady["gain"], steady["gain_low"], steady["gain_high"], steady["win_rate"]) == (
        1,
        1,
        1,
        1,
    )  # far surer than the two means
    assert statistics.compare([None], [3]) == {}
    with pytest.raises(ValueError):
        statistics.compare([1, 2], [1])


def test_a_kind_is_an_instructions_first_word_and_rare_ones_are_other():
    asked = ["Rewrite it.", "rewrite: that", "“Rewrite” this", "Name it.", "Name one.", "12", "", "Émigré?"]
    assert statistics.kinds(asked) == ["rewrite"] * 3 + ["other"] * 5
    many = [f"{chr(97 + i)}word do it" for i in range(20) for _ in range(3 + (i == 19))]
    assert len(set(statistics.kinds(many))) == statistics.MOST_KINDS + 1 and statistics.kinds(many)[-1] == "tword"


def test_the_summary_counts_every_answer_once_and_none_that_failed():
    judgements = [
        record(100, "x"),
        record(40, "a b c d e f g"),
        record(None, "no"),
        record(0, ""),
        record(60, "w " * 60, "Sort them."),
    ]
    found = statistics.summarise("somebody", judgements)
    assert (found["mean_score"], found["median_score"], found["judged"], found["failed"]) == (50, 50, 4, 1)
    assert found["mean_score_low"] <= 50 <= found["mean_score_high"] and found["exactly_right"] == 0.2
    assert found["by_kind"].keys() == {"name", "other"} and found["by_kind"]["name"]["answers"] == 3
    assert {name: group["answers"] for name, group in found["by_length"].items()} == {
        "no words": 1, "1 to 5 words": 1, "6 to 10 words": 1, "over 50 words": 1,
    }  # fmt: skip
    assert found["by_length"]["6 to 10 words"] == {"mean": 40, "low": 40, "high": 40, "answers": 1}
    assert "gain" not in found


def test_the_summary_compares_with_the_base_model_where_there_is_one():
    found = statistics.summarise(
        "somebody", [record(80, base_score=10), record(60, base_score=20), record(None, base_score=90)]
    )
    assert found["base_mean_score"] == 40 and found["gain"] == 55 and found["win_rate"] == 1
    assert found["gain_low"] == 40 and found["gain_high"] == 70


def test_a_correlation_that_is_not_defined_is_none():
    assert statistics.rank_correlation([1, 2, 3], [10, 20, 90]) == 1
    assert statistics.rank_correlation([5, 5], [1, 2]) is None and statistics.rank_correlation([5], [1]) is None
