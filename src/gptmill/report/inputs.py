"""Inputs of the report: every file that it reads, as validated types, all from one run."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from gptmill.core import paths
from gptmill.report import schemas
from gptmill.report.schemas import Record

DATA_SETS = {"corpus": "Corpus", "spam": "Classified texts", "instructions": "Instructions"}  # titles

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=0, le=100)]


class Source(Record):
    name: str
    origin: str
    licence: str
    sha256: str
    bytes: Count


class Expectation(Record):
    expectation: str
    level: Literal["row", "table"]
    success: bool
    observed: Any
    allowed: str


class Leakage(Record):
    """Pairs of the same or nearly the same text in different splits."""

    exact: Count
    near: Count


class ValidationResult(Record):
    """Of one data set. Further counts (messages, words, near-duplicates, …) are in `counts`."""

    model_config = ConfigDict(extra="allow")

    sha256: str
    kept: Count
    quarantined: Count
    duplicates: Count
    classes: dict[str, Count] = {}  # rows per class
    leakage: Leakage | None = None  # of data sets that are split by rows
    expectations: list[Expectation]

    @property
    def counts(self) -> dict[str, int]:
        return {name: value for name, value in (self.model_extra or {}).items() if type(value) is int}


class Validation(Record):
    corpus: ValidationResult
    spam: ValidationResult
    instructions: ValidationResult


class BaseMetrics(Record):
    validation_loss: float
    validation_perplexity: Positive
    trigram_perplexity: Positive
    perplexity_to_trigram: Positive


class PretrainMetrics(Record):
    parameters: Count
    tokens_trained_on: Count

    @property
    def loaded(self) -> bool:
        """Pretrained weights, not trained here."""
        return self.tokens_trained_on == 0


class Scores(Record):
    accuracy: Share
    precision: Share
    recall: Share
    f1: Share
    rows: Annotated[int, Field(ge=1)]
    per_class: dict[str, Share] = {}  # F1, of more than two classes


class ClassifierMetrics(Record):
    test: Scores
    tfidf: Scores
    natural: Scores  # of the test split with the natural class distribution
    natural_tfidf: Scores
    scores_of: str  # what precision, recall and F1 are about
    tfidf_of: Literal["words", "characters"] = "words"


class TuningMetrics(Record):
    parameters_trained: Count | None = None
    tokens_read: Count | None = None  # in training, without padding


class InstructMetrics(TuningMetrics):
    validation_loss: float
    validation_perplexity: float
    validation_token_accuracy: Share


class Group(Record):
    """Mean score with its interval, of answers of one kind or length."""

    mean: float
    low: float
    high: float
    answers: Count


class JudgeMetrics(Record):
    """None: not measured. `low` and `high`: 95% bootstrap interval. `gain`: tuned minus base, paired."""

    judge: str
    mean_score: float
    mean_score_low: float | None = None
    mean_score_high: float | None = None
    median_score: float
    exactly_right: Share
    judged: Count
    failed: Count
    score_length_correlation: float | None = None
    base_mean_score: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    win_rate: Share | None = None
    by_kind: dict[str, Group] = {}
    by_length: dict[str, Group] = {}
    judges: dict[str, float | None] = {}  # mean of each, of several
    judges_agreement: float | None = None  # mean pairwise Spearman correlation


class Point(Record):
    """A row of a training curve."""

    step: Count
    epoch: float
    train_loss: float
    validation_loss: float
    train_accuracy: Share
    validation_accuracy: Share
    kept: bool = False  # the model has the weights of this step


class Sample(Record):
    """A prompt, continued by the trained model."""

    prompt: str
    text: str


class Prediction(Record):
    actual: str
    predicted: str
    probability: Share
    probabilities: dict[str, Share] = {}  # by class; {} in older files
    text: str

    @field_validator("probabilities", mode="before")
    @classmethod
    def _as_json(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @property
    def correct(self) -> bool:
        return self.actual == self.predicted


class Judgement(Record):
    instruction: str
    input: str
    output: str
    response: str
    tokens: Count = 0
    stopped: str
    score: Score | None
    failure: str | None
    reason: str = ""  # by the judge
    scores: dict[str, Score | None] = {}  # by judge
    base_response: str | None = None  # the base model's answer
    base_tokens: Count = 0
    base_score: Score | None = None

    @property
    def spread(self) -> float:
        """Largest difference between judges, in points; 0 with one judge."""
        scores = [score for score in self.scores.values() if score is not None]
        return max(scores) - min(scores) if scores else 0.0

    @property
    def gain(self) -> float | None:
        return None if self.score is None or self.base_score is None else self.score - self.base_score

    @property
    def exactly_right(self) -> bool:
        return self.response.strip() == self.output.strip()


@dataclass(frozen=True)
class Inputs:
    sources: dict[str, Source]
    validation: Validation
    pretrain: PretrainMetrics
    pretrain_curve: list[Point]
    base: BaseMetrics
    base_samples: list[Sample]
    classifier_training: TuningMetrics
    classifier: ClassifierMetrics
    classifier_curve: list[Point]
    predictions: list[Prediction]
    instruct: InstructMetrics
    instruct_curve: list[Point]
    judge: JudgeMetrics
    judgements: list[Judgement]


def read() -> Inputs:
    """Raises `GptmillError` for an input that is missing, invalid or from another run."""
    metrics, plots = paths.METRICS, paths.PLOTS
    tuning = schemas.read_json(metrics / "finetune_classifier.json", TuningMetrics, "finetune_classifier")
    inputs = Inputs(
        sources={
            name: schemas.read_json(paths.RAW / f"{name}.source.json", Source, f"download@{name}") for name in DATA_SETS
        },
        validation=schemas.read_json(paths.VALIDATION, Validation, "validate"),
        pretrain=schemas.read_json(metrics / "pretrain.json", PretrainMetrics, "pretrain"),
        pretrain_curve=schemas.read_csv(plots / "pretrain.csv", Point, "pretrain"),
        base=schemas.read_json(metrics / "base.json", BaseMetrics, "evaluate_base"),
        base_samples=schemas.read_jsonl(paths.BASE_SAMPLES, Sample, "evaluate_base"),
        classifier_training=tuning,
        classifier=schemas.read_json(metrics / "classifier.json", ClassifierMetrics, "evaluate_classifier"),
        classifier_curve=schemas.read_csv(plots / "classifier.csv", Point, "finetune_classifier"),
        predictions=schemas.read_csv(plots / "classifier_predictions.csv", Prediction, "evaluate_classifier"),
        instruct=schemas.read_json(metrics / "instruct.json", InstructMetrics, "finetune_instruct"),
        instruct_curve=schemas.read_csv(plots / "instruct.csv", Point, "finetune_instruct"),
        judge=schemas.read_json(metrics / "judge.json", JudgeMetrics, "judge_responses"),
        judgements=schemas.read_jsonl(paths.JUDGEMENTS, Judgement, "judge_responses"),
    )
    _require_one_run(inputs)
    return inputs


def _require_one_run(inputs: Inputs) -> None:
    failed = sum(record.score is None for record in inputs.judgements)
    judged = (len(inputs.judgements) - failed, failed) == (inputs.judge.judged, inputs.judge.failed)
    predicted = len(inputs.predictions) == inputs.classifier.test.rows
    pairs = [
        (paths.RAW / f"{name}.source.json", paths.VALIDATION, source.sha256 == getattr(inputs.validation, name).sha256)
        for name, source in inputs.sources.items()
    ]
    pairs.append((paths.METRICS / "classifier.json", paths.PLOTS / "classifier_predictions.csv", predicted))
    pairs.append((paths.METRICS / "judge.json", paths.JUDGEMENTS, judged))
    for one, other, agree in pairs:
        if not agree:
            raise schemas.different_runs(one, other)
