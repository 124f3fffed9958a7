"""The report: what to show of the inputs, for the template."""

import math
from collections.abc import Sequence
from typing import Any

from gptmill.core import paths
from gptmill.evaluation import statistics
from gptmill.evaluation.calibration import BINS
from gptmill.report import answer_selection, charts, classifier_section, costs, quality_charts, templates, verdicts
from gptmill.report.classifier_section import Calibration, PrecisionRecall
from gptmill.report.external import External
from gptmill.report.inputs import DATA_SETS, Inputs, Point

MISTAKES_SHOWN = 12
FAILURES_SHOWN = 5


def render(inputs: Inputs, external: External | None = None) -> str:
    """The same inputs give the same bytes. `external`: for the extended report."""
    calibration = classifier_section.calibrate(inputs.predictions)
    curves = classifier_section.precision_recall_curves(inputs.predictions, inputs.classifier.scores_of)
    return templates.render(
        "report.html.jinja",
        inputs=inputs,
        external=external,
        extended=paths.EXTENDED_REPORT.name,
        base=verdicts.base(inputs.base),
        classifier=verdicts.classifier(inputs.classifier),
        instruct=verdicts.instruct(inputs.judge, len(inputs.judgements)),
        tuning=verdicts.tuning(inputs.judge),
        accuracy_interval=statistics.share_interval(
            sum(p.correct for p in inputs.predictions), len(inputs.predictions)
        ),
        data_sets=[
            (title, inputs.sources[name], getattr(inputs.validation, name)) for name, title in DATA_SETS.items()
        ],
        data_docs=paths.DATA_DOCS.relative_to(paths.REPORTS) / "index.html",
        cards=[paths.DATA_CARDS.relative_to(paths.REPORTS) / f"{name}.html" for name in DATA_SETS],
        charts=_charts(inputs, calibration, curves),
        confusion=classifier_section.confusion(inputs.predictions),
        calibration=calibration,
        bins=BINS,
        curves=curves,
        mistakes=classifier_section.most_confident_mistakes(inputs.predictions),
        mistakes_shown=MISTAKES_SHOWN,
        answers=answer_selection.select(inputs.judgements),
        failures=[record for record in inputs.judgements if record.score is None],
        failures_shown=FAILURES_SHOWN,
        cut=sum(record.stopped == "length" for record in inputs.judgements),
        costs=costs.of(inputs),
    )


def _charts(inputs: Inputs, calibration: Calibration, curves: PrecisionRecall | None) -> dict[str, Any]:
    """The charts that have data, by name."""
    svgs: dict[str, Any] = {}
    if inputs.pretrain_curve:
        trigram = math.log(inputs.base.trigram_perplexity)
        title = _summary("Loss of the base model", inputs.pretrain_curve) + f" A trigram model's loss is {trigram:.3f}."
        svgs["pretrain"] = charts.loss(inputs.pretrain_curve, "pretrain-loss", title, ("trigram", trigram))
    if curve := inputs.classifier_curve:
        svgs["classifier"] = charts.loss(curve, "classifier-loss", _summary("Loss of the classifier", curve))
        first, last = curve[0].validation_accuracy, curve[-1].validation_accuracy
        title = f"Accuracy of the classifier: validation from {first:.1%} to {last:.1%}."
        svgs["accuracy"] = charts.accuracy(curve, "classifier-accuracy", title)
    title = f"Accuracy of the classifier by confidence: expected calibration error {calibration.error:.1%}."
    svgs["reliability"] = quality_charts.reliability(calibration.bins, "reliability", title)
    if curves:
        title = f"Precision of the classifier by recall: average precision {curves.average:.3f}."
        point = curves.operating_point
        svgs["precision_recall"] = quality_charts.precision_recall(curves.curves, "precision-recall", title, point)
    if curve := inputs.instruct_curve:
        svgs["instruct"] = charts.loss(curve, "instruct-loss", _summary("Loss of the instruct model", curve))
    scores = [record.score for record in inputs.judgements if record.score is not None]
    base = [record.base_score for record in inputs.judgements if record.base_score is not None]
    others = ", beside the base model's" if base else ""
    title = f"Histogram of {len(scores)} scores, in steps of ten points{others}."
    svgs["scores"] = charts.scores(scores, "scores", title, base)
    return svgs


def _summary(what: str, curve: Sequence[Point]) -> str:
    first, last = curve[0], curve[-1]
    return (
        f"{what}: in training from {first.train_loss:.3f} to {last.train_loss:.3f}, "
        f"in validation from {first.validation_loss:.3f} to {last.validation_loss:.3f}."
    )
