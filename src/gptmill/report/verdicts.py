"""What the numbers are worth, in words. A model that is worse than a simple one is said to be so."""

from dataclasses import dataclass
from typing import Literal

from gptmill.evaluation.statistics import share_interval
from gptmill.report.inputs import BaseMetrics, ClassifierMetrics, JudgeMetrics

# The two-sided exact McNemar test reaches p < 0.05 from six texts on (2 / 2^6 = 0.03), when no text goes the other way.
FEWEST_THAT_CAN_TELL = 6


@dataclass(frozen=True)
class Verdict:
    tone: Literal["ahead", "level", "behind"]
    headline: str
    reason: str


def base(metrics: BaseMetrics) -> Verdict:
    """Perplexity beside that of an interpolated trigram model on the same tokens."""
    ratio = metrics.perplexity_to_trigram
    reason = f"Its perplexity is {ratio:.3g} times that of an interpolated trigram model on the same tokens."
    if abs(ratio - 1) < 0.005:
        return Verdict("level", "No better than a trigram model.", reason)
    if ratio < 1:
        return Verdict("ahead", "Better than a trigram model.", reason)
    return Verdict(
        "behind",
        "Worse than a trigram model.",
        f"{reason} That one knows the last two tokens only, and predicts the next better.",
    )


def classifier(metrics: ClassifierMetrics) -> Verdict:
    """Texts put right beside TF-IDF with logistic regression, on the same split."""
    rows = metrics.test.rows
    ours, theirs = (round(scores.accuracy * rows) for scores in (metrics.test, metrics.tfidf))
    baseline = f"TF-IDF of {metrics.tfidf_of} with logistic regression"
    apart = abs(ours - theirs)
    if not apart:
        return Verdict("level", f"No better than {baseline}.", f"Both put {ours:,} of {rows:,} test texts right.")
    reason = f"It puts {ours:,} of {rows:,} test texts right, the baseline {theirs:,}."
    if apart < FEWEST_THAT_CAN_TELL:
        return Verdict(
            "level",
            f"About as good as {baseline}.",
            f"{reason} A difference of {apart} can be chance: no paired test tells them apart.",
        )
    if ours > theirs:
        return Verdict("ahead", f"Better than {baseline}.", reason)
    return Verdict("behind", f"Worse than {baseline}.", reason)


def instruct(metrics: JudgeMetrics, answers: int) -> Verdict:
    """How many answers are the reference, character for character. There is no simpler model to compare with."""
    right = round(metrics.exactly_right * answers)
    if not right:
        return Verdict(
            "behind", "No answer is exactly right.", f"Not one of {answers:,} test answers is the reference answer."
        )
    low, high = share_interval(right, answers)
    return Verdict(
        "level",
        f"{right:,} of {answers:,} answers are exactly right.",
        f"Of other instructions of the same kind, {low:.0%} to {high:.0%} would be (95% interval).",
    )


def tuning(metrics: JudgeMetrics) -> Verdict | None:
    """Tuned answers beside the base model's, paired; None when the base model was not asked."""
    gain, low, high = metrics.gain, metrics.gain_low, metrics.gain_high
    if gain is None:
        return None
    reason = f"The tuned model's answers score {abs(gain):.1f} points {'more' if gain >= 0 else 'less'} than the base model's on average"
    if low is None or high is None:
        return Verdict("level", "Tuning's gain was measured without an interval.", f"{reason}.")
    reason += f" (95% interval {low:+.1f} to {high:+.1f}, paired)."
    if low > 0:
        return Verdict("ahead", "Tuning made the answers better.", reason)
    if high < 0:
        return Verdict("behind", "Tuning made the answers worse.", reason)
    return Verdict("level", "Tuning made no difference that can be told from chance.", reason)
