"""Verdicts on the models against simple baselines, in words."""

from dataclasses import dataclass
from typing import Literal

from gptmill.evaluation.statistics import share_interval
from gptmill.report.inputs import BaseMetrics, ClassifierMetrics, JudgeMetrics

# McNemar's exact two-sided test reaches p < 0.05 from six discordant texts on, all for one side (2 / 2^6 = 0.03).
FEWEST_THAT_CAN_TELL = 6


@dataclass(frozen=True)
class Verdict:
    tone: Literal["ahead", "level", "behind"]
    headline: str
    reason: str


def base(metrics: BaseMetrics) -> Verdict:
    """Perplexity against an interpolated trigram model's on the same tokens."""
    ratio = metrics.perplexity_to_trigram
    reason = f"Its perplexity is {ratio:.3g} times that of an interpolated trigram model on the same tokens."
    if abs(ratio - 1) < 0.005:
        return Verdict("level", "No better than a trigram model.", reason)
    if ratio < 1:
        return Verdict("ahead", "Better than a trigram model.", reason)
    reason = f"{reason} That one knows the last two tokens only, and predicts the next better."
    return Verdict("behind", "Worse than a trigram model.", reason)


def classifier(metrics: ClassifierMetrics) -> Verdict:
    """Correct predictions against TF-IDF with logistic regression, on the same split."""
    rows = metrics.test.rows
    ours, theirs = (round(scores.accuracy * rows) for scores in (metrics.test, metrics.tfidf))
    baseline = f"TF-IDF of {metrics.tfidf_of} with logistic regression"
    apart = abs(ours - theirs)
    if not apart:
        return Verdict(
            "level", f"No better than {baseline}.", f"Both classify {ours:,} of {rows:,} test texts correctly."
        )
    reason = f"It classifies {ours:,} of {rows:,} test texts correctly, the baseline {theirs:,}."
    if apart < FEWEST_THAT_CAN_TELL:
        reason = f"{reason} A difference of {apart} may be chance: no paired test finds it significant."
        return Verdict("level", f"About as good as {baseline}.", reason)
    if ours > theirs:
        return Verdict("ahead", f"Better than {baseline}.", reason)
    return Verdict("behind", f"Worse than {baseline}.", reason)


def instruct(metrics: JudgeMetrics, answers: int) -> Verdict:
    """Exact matches with the reference. There is no simpler model to compare with."""
    right = round(metrics.exactly_right * answers)
    if not right:
        reason = f"None of {answers:,} test answers is the reference answer."
        return Verdict("behind", "No answer is exactly right.", reason)
    low, high = share_interval(right, answers)
    reason = f"Of other instructions of the same kind, {low:.0%} to {high:.0%} would be (95% interval)."
    return Verdict("level", f"{right:,} of {answers:,} answers are exactly right.", reason)


def tuning(metrics: JudgeMetrics) -> Verdict | None:
    """Tuned answers against the base model's, paired; None without base answers."""
    gain, low, high = metrics.gain, metrics.gain_low, metrics.gain_high
    if gain is None:
        return None
    points = f"{abs(gain):.1f} points {'more' if gain >= 0 else 'less'}"
    reason = f"The tuned model's answers score {points} than the base model's on average"
    if low is None or high is None:
        return Verdict("level", "Tuning's gain was measured without an interval.", f"{reason}.")
    reason += f" (95% interval {low:+.1f} to {high:+.1f}, paired)."
    if low > 0:
        return Verdict("ahead", "Tuning made the answers better.", reason)
    if high < 0:
        return Verdict("behind", "Tuning made the answers worse.", reason)
    return Verdict("level", "Tuning made no significant difference.", reason)
