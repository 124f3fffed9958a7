import pytest

from gptmill.report import verdicts
from gptmill.report.inputs import BaseMetrics, ClassifierMetrics, JudgeMetrics, Scores


def pretrain(ratio: float) -> BaseMetrics:
    return BaseMetrics(
        validation_loss=2.0,
        validation_perplexity=7.4,
        trigram_perplexity=7.4 / ratio,
        perplexity_to_trigram=ratio,
    )


def classifier(ours: float, theirs: float, rows: int = 100) -> ClassifierMetrics:
    test, tfidf = (Scores(accuracy=accuracy, precision=1, recall=1, f1=1, rows=rows) for accuracy in (ours, theirs))
    return ClassifierMetrics(test=test, tfidf=tfidf, natural=test, natural_tfidf=tfidf, scores_of="spam")


def judge(share: float) -> JudgeMetrics:
    return JudgeMetrics(judge="x", mean_score=50, median_score=50, exactly_right=share, judged=100, failed=0)


@pytest.mark.parametrize(
    ("ratio", "tone", "words"), [(0.41, "ahead", "Better"), (1.002, "level", "No better"), (2.4667, "behind", "Worse")]
)
def test_a_base_model_is_called_what_its_perplexity_says(ratio, tone, words):
    verdict = verdicts.base(pretrain(ratio))
    assert verdict.tone == tone
    assert verdict.headline == f"{words} than a trigram model."
    assert f"{ratio:.3g} times" in verdict.reason


@pytest.mark.parametrize(
    ("ours", "theirs", "tone", "words"),
    [
        (0.96, 0.90, "ahead", "Better than"),
        (0.95, 0.90, "level", "About as good as"),
        (0.90, 0.90, "level", "No better than"),
        (0.90, 0.95, "level", "About as good as"),
        (0.84, 0.90, "behind", "Worse than"),
    ],
)
def test_a_classifier_is_ahead_only_by_what_a_paired_test_could_tell(ours, theirs, tone, words):
    verdict = verdicts.classifier(classifier(ours, theirs))
    assert verdict.tone == tone
    assert verdict.headline.startswith(words)


def test_no_paired_test_tells_five_texts_from_chance_and_six_it_may():
    apart = verdicts.FEWEST_THAT_CAN_TELL
    assert 2 / 2**apart < 0.05 <= 2 / 2 ** (apart - 1)


def test_an_instruct_model_without_a_right_answer_is_said_to_have_none():
    assert verdicts.instruct(judge(0.0), 100).headline == "No answer is exactly right."
    assert verdicts.instruct(judge(0.41), 100).headline == "41 of 100 answers are exactly right."


@pytest.mark.parametrize(
    ("low", "high", "tone"), [(0.1, 9, "ahead"), (-0.1, 9, "level"), (-9, -0.1, "behind"), (None, None, "level")]
)
def test_tuning_helped_only_if_the_whole_interval_says_so(low, high, tone):
    metrics = judge(0.5).model_copy(update={"gain": 4.0, "gain_low": low, "gain_high": high})
    assert verdicts.tuning(metrics).tone == tone
    assert verdicts.tuning(judge(0.5)) is None
