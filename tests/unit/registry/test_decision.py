import numpy as np
import pytest

from gptmill.config.schema import PromotionParams
from gptmill.registry.decision import Measured, decide

PARAMS = PromotionParams(margin=0.01, confidence=0.95, min_recall=0.8, max_calibration_error=0.1)
GOOD = {"recall ham": 0.9, "recall spam": 0.9, "calibration_error": 0.05}


def verdict(ours: list[float], theirs: list[float] | None, figures=GOOD, params=PARAMS):
    return decide(Measured(ours, figures), None if theirs is None else Measured(theirs), "accuracy", params, seed=1)


def test_better_is_promoted_equal_and_worse_are_kept():
    right, half = [1.0] * 100, [1.0, 0.0] * 50
    assert [verdict(*pair).verdict for pair in ((right, half), (half, half), (half, right))] == [
        "promoted",
        "not promoted",
        "not promoted",
    ]


def test_better_by_chance_is_kept():
    ours, theirs = [1.0] * 20 + [0.0] * 20, [1.0] * 18 + [0.0] * 22
    decision = verdict(ours, theirs)
    assert (
        decision.verdict == "not promoted"
        and decision.figures["difference"] == pytest.approx(0.05)
        and decision.figures["difference low"] == 0
    )


def test_better_by_less_than_the_margin_is_kept():
    ours, theirs = [0.505] * 50, [0.5] * 50
    assert verdict(ours, theirs).verdict == "not promoted"
    assert verdict(ours, theirs, params=PARAMS.model_copy(update={"margin": 0.004})).verdict == "promoted"


def test_without_a_champion_the_guards_decide():
    assert verdict([0.0, 1.0], None).verdict == "promoted"
    assert verdict([0.0, 1.0], None, GOOD | {"recall ham": 0.79}).verdict == "refused"


@pytest.mark.parametrize(("figure", "value"), [("recall spam", 0.5), ("calibration_error", 0.2)])
def test_a_guard_that_does_not_hold_refuses_even_a_better_one(figure, value):
    decision = verdict([1.0] * 50, [0.0] * 50, GOOD | {figure: value})
    assert decision.verdict == "refused" and str(value) in decision.reasons[0] and len(decision.reasons) == 1


def test_the_interval_is_paired():
    """Two models that differ a lot from item to item, and always by the same, differ surely."""
    items = np.random.default_rng(0).normal(size=100)
    assert verdict(list(items + 0.05), list(items)).verdict == "promoted"
