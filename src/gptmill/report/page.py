"""The report itself: what to show of the inputs, and the template that shows it."""

import math
from collections.abc import Sequence
from typing import Any

from gptmill.core import paths
from gptmill.evaluation import statistics
from gptmill.evaluation.calibration import BINS
from gptmill.report import answer_selection, charts, classifier_section, costs, quality_charts, templates, verdicts
from gptmill.report.classifier_section import Calibration, Sweep
from gptmill.report.external import External
from gptmill.report.inputs import DATA_SETS, Inputs, Point

MISTAKES_SHOWN = 12
FAILURES_SHOWN = 5


def render(inputs: Inputs, external: External | None = None) -> str:
    """The whole page. The same inputs give the same bytes. `external`: what the extended report shows besides."""
    calibration = classifier_section.calibrate(inputs.predictions)
    sweep = classifier_section.sweep(inputs.predictions, inputs.classifier.scores_of)
    return templates.render(
        "report.html.jinja",
        inputs=inputs,
        external=external,
        extended=paths.EXTENDED_REPORT.name,
        base=verdicts.base(inputs.base),
        classifier=verdicts.classifier(inputs.classifier),
        instruct=verdicts.instruct(inputs.judge, len(inputs.judgements)),
        tuning=verdicts.tuning(inputs.judge),
        accuracy_interval=statistics.share_interval(sum(p.right for p in inputs.predictions), len(inputs.predictions)),
        data_sets=[
            (title, inputs.sources[name], getattr(inputs.validation, name)) for name, title in DATA_SETS.items()
        ],
        data_docs=paths.DATA_DOCS.relative_to(paths.REPORTS) / "index.html",
        cards=[paths.DATA_CARDS.relative_to(paths.REPORTS) / f"{name}.html" for name in DATA_SETS],
        charts=_charts(inputs, calibration, sweep),
        confusion=classifier_section.confusion(inputs.predictions),
        calibration=calibration,
        bins=BINS,
        sweep=sweep,
        mistakes=classifier_section.surest_mistakes(inputs.predictions),
        mistakes_shown=MISTAKES_SHOWN,
        answers=answer_selection.choose(inputs.judgements),
        failures=[record for record in inputs.judgements if record.score is None],
        failures_shown=FAILURES_SHOWN,
        cut=sum(record.stopped == "length" for record in inputs.judgements),
        costs=costs.of(inputs),
    )


def _charts(inputs: Inputs, calibration: Calibration, sweep: Sweep | None) -> dict[str, Any]:
    """The charts that there is something to draw for."""
    drawn: dict[str, Any] = {}
    if inputs.pretrain_curve:
        trigram = math.log(inputs.base.trigram_perplexity)
        title = _story("Loss of the base model", inputs.pretrain_curve) + f" A trigram model's loss is {trigram:.3f}."
        drawn["pretrain"] = charts.loss(inputs.pretrain_curve, "pretrain-loss", title, ("trigram", trigram))
    if curve := inputs.classifier_curve:
        drawn["classifier"] = charts.loss(curve, "classifier-loss", _story("Loss of the classifier", curve))
        title = f"Accuracy of the classifier: validation from {curve[0].validation_accuracy:.1%} to {curve[-1].validation_accuracy:.1%}."
        drawn["accuracy"] = charts.accuracy(curve, "classifier-accuracy", title)
    title = (
        f"How often the classifier is right when it is how sure: expected calibration error {calibration.error:.1%}."
    )
    drawn["reliability"] = quality_charts.reliability(calibration.bins, "reliability", title)
    if sweep:
        title = f"Precision of the classifier at each recall: average precision {sweep.average:.3f}."
        drawn["precision_recall"] = quality_charts.precision_recall(
            sweep.curves, "precision-recall", title, sweep.chosen
        )
    if inputs.instruct_curve:
        drawn["instruct"] = charts.loss(
            inputs.instruct_curve, "instruct-loss", _story("Loss of the instruct model", inputs.instruct_curve)
        )
    scores = [record.score for record in inputs.judgements if record.score is not None]
    before = [record.base_score for record in inputs.judgements if record.base_score is not None]
    title = f"How many of {len(scores)} answers got which score, in steps of ten points" + (
        ", and of the base model's." if before else "."
    )
    drawn["scores"] = charts.scores(scores, "scores", title, before)
    return drawn


def _story(what: str, curve: Sequence[Point]) -> str:
    first, last = curve[0], curve[-1]
    return (
        f"{what}: in training from {first.train_loss:.3f} to {last.train_loss:.3f}, "
        f"in validation from {first.validation_loss:.3f} to {last.validation_loss:.3f}."
    )
