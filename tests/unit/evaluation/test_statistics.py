import numpy as np
import pytest
from scipy.stats import bootstrap

from gptmill.evaluation import statistics


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


def test_the_interval_is_that_of_the_normal_distribution_for_many_items():
    values = np.random.default_rng(0).normal(0.3, 2.0, size=2000)
    low, high = statistics.interval(np.mean, values)
    expected = 1.96 * values.std() / len(values) ** 0.5
    assert (high - low) / 2 == pytest.approx(expected, rel=0.05) and (high + low) / 2 == pytest.approx(
        values.mean(), abs=0.01
    )
    assert statistics.interval(np.mean, values) == (low, high)
    narrow = statistics.interval(np.mean, values, tail=0.25)
    assert low < narrow[0] < narrow[1] < high


def test_an_interval_holds_the_truth_about_19_times_in_20():
    random = np.random.default_rng(0)
    held = [low <= 50 <= high for _, low, high in (statistics.mean(random.normal(50, 10, size=40)) for _ in range(200))]
    assert 0.88 <= np.mean(held) <= 0.99


def test_many_answers_take_no_more_memory_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(statistics, "AT_ONCE", 1000)
    statistics.interval(lambda rows, axis: asked.append(rows.size) or rows.mean(axis=axis), np.arange(400))
    assert max(asked) <= 1000 and sum(asked) == statistics.RESAMPLES * 400


def test_two_runs_are_compared_in_pairs():
    result = statistics.compare([90, 50, 20, None, 70], [80, 50, 30, 10, None])
    assert result["gain"] == 0 and result["win_rate"] == 0.5 and result["gain_low"] <= 0 <= result["gain_high"]
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


def test_a_correlation_that_is_not_defined_is_none():
    assert statistics.rank_correlation([1, 2, 3], [10, 20, 90]) == 1
    assert statistics.rank_correlation([5, 5], [1, 2]) is None and statistics.rank_correlation([5], [1]) is None


def test_the_interval_is_wilsons():
    low, high = statistics.share_interval(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.49, 0.943)
    assert statistics.share_interval(0, 10)[0] == 0
    assert statistics.share_interval(10, 10)[1] == pytest.approx(1)
