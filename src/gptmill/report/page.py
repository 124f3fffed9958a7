"""The report itself: what to show of the inputs, and the template that shows it."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gptmill import paths
from gptmill.report import charts, rendering, verdicts
from gptmill.report.inputs import DATA_SETS, Inputs, Judgement, Point, Prediction

TITLES = {"corpus": "Corpus", "spam": "Classified texts", "instructions": "Instructions"}
MISTAKES_SHOWN = 12
ANSWERS_SHOWN = 3  # of each kind: best, in between, worst
FAILURES_SHOWN = 5


def render(inputs: Inputs) -> str:
    """The whole page. The same inputs give the same bytes."""
    return rendering.render(
        "template.html.jinja",
        inputs=inputs,
        base=verdicts.base(inputs.pretrain),
        classifier=verdicts.classifier(inputs.classifier),
        instruct=verdicts.instruct(inputs.judge, len(inputs.judgements)),
        accuracy_interval=verdicts.interval(sum(p.right for p in inputs.predictions), len(inputs.predictions)),
        data_sets=[(TITLES[name], inputs.sources[name], getattr(inputs.validation, name)) for name in DATA_SETS],
        data_docs=paths.DATA_DOCS.relative_to(paths.REPORTS) / "index.html",
        cards=[paths.DATA_CARDS.relative_to(paths.REPORTS) / f"{name}.html" for name in DATA_SETS],
        charts=_charts(inputs),
        confusion=confusion(inputs.predictions),
        mistakes=surest_mistakes(inputs.predictions),
        mistakes_shown=MISTAKES_SHOWN,
        answers=choose(inputs.judgements),
        failures=[record for record in inputs.judgements if record.score is None],
        failures_shown=FAILURES_SHOWN,
        cut=sum(record.stopped == "length" for record in inputs.judgements),
    )


def confusion(predictions: Sequence[Prediction]) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """(actual label, how many, [(predicted label, how many of these)]) for each label."""
    labels = sorted({p.actual for p in predictions} | {p.predicted for p in predictions})
    counts = Counter((p.actual, p.predicted) for p in predictions)
    return [
        (actual, sum(counts[actual, predicted] for predicted in labels), [(predicted, counts[actual, predicted]) for predicted in labels])
        for actual in labels
    ]


def surest_mistakes(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The wrong predictions, the surest first; in the order of the file where they are equally sure."""
    return sorted((p for p in predictions if not p.right), key=lambda p: -p.probability)


def choose(judgements: Sequence[Judgement]) -> list[tuple[str, list[Judgement]]]:
    """The best answers, some evenly spaced in between, and the worst, by score; no answer twice."""
    ranked = sorted((record for record in judgements if record.score is not None), key=lambda record: -record.score)
    best, rest = ranked[:ANSWERS_SHOWN], ranked[ANSWERS_SHOWN:]
    worst = rest[-ANSWERS_SHOWN:]
    between = rest[: len(rest) - len(worst)]
    shown = min(ANSWERS_SHOWN, len(between))
    middle = [between[(2 * i + 1) * len(between) // (2 * shown)] for i in range(shown)]
    return [(title, records) for title, records in (("Best", best), ("In between", middle), ("Worst", worst)) if records]


def _charts(inputs: Inputs) -> dict[str, Any]:
    """The charts that there is something to draw for."""
    drawn: dict[str, Any] = {}
    if inputs.pretrain_curve:
        trigram = math.log(inputs.pretrain.trigram_perplexity)
        title = _story("Loss of the base model", inputs.pretrain_curve) + f" A trigram model's loss is {trigram:.3f}."
        drawn["pretrain"] = charts.loss(inputs.pretrain_curve, "pretrain-loss", title, ("trigram", trigram))
    if curve := inputs.classifier_curve:
        drawn["classifier"] = charts.loss(curve, "classifier-loss", _story("Loss of the classifier", curve))
        title = f"Accuracy of the classifier: validation from {curve[0].validation_accuracy:.1%} to {curve[-1].validation_accuracy:.1%}."
        drawn["accuracy"] = charts.accuracy(curve, "classifier-accuracy", title)
    if inputs.instruct_curve:
        drawn["instruct"] = charts.loss(inputs.instruct_curve, "instruct-loss", _story("Loss of the instruct model", inputs.instruct_curve))
    scores = [record.score for record in inputs.judgements if record.score is not None]
    drawn["scores"] = charts.scores(scores, "scores", f"How many of {len(scores)} answers got which score, in steps of ten points.")
    return drawn


def _story(what: str, curve: Sequence[Point]) -> str:
    first, last = curve[0], curve[-1]
    return (
        f"{what}: in training from {first.train_loss:.3f} to {last.train_loss:.3f}, "
        f"in validation from {first.validation_loss:.3f} to {last.validation_loss:.3f}."
    )
