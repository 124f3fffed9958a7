import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.evaluation import calibration, precision_recall


def test_the_error_is_the_mean_gap_each_bin_weighing_as_much_as_it_has_texts():
    sure = [0.95, 0.95, 0.95, 0.95, 0.65, 0.65]
    right = [True, True, True, False, True, True]
    result = calibration.bins(sure, right, 10)
    assert [(part.low, part.high, part.count) for part in result] == [(0.6, 0.7, 2), (0.9, 1.0, 4)]
    assert calibration.error(result) == pytest.approx(4 / 6 * 0.2 + 2 / 6 * 0.35)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_every_text_is_in_one_bin_and_the_error_is_a_share(texts):
    result = calibration.bins(*zip(*texts, strict=True))
    assert sum(part.count for part in result) == len(texts)
    assert all(part.low - 1e-9 <= part.confidence <= part.high + 1e-9 for part in result)
    assert 0 <= calibration.error(result) <= 1 + 1e-9


def test_precision_against_recall_is_what_each_threshold_gives():
    result = precision_recall.curve("spam", [0.9, 0.8, 0.7, 0.1], [True, False, True, False])
    assert list(zip(result.recall, result.precision, strict=True))[:4] == [
        (0.0, 1.0),
        (0.5, 1.0),
        (0.5, 0.5),
        (1.0, 2 / 3),
    ]
    assert result.average == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert result.share == 0.5
    assert precision_recall.curve("spam", [0.9], [True]) is None
