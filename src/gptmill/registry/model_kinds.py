"""The one table of model kinds: where each model is, how it is measured for promotion, what its card says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gptmill.core import paths
from gptmill.core.errors import GptmillError

Task = Literal["generate", "ask", "classify"]


@dataclass(frozen=True)
class ModelKind:
    name: str
    task: Task  # what `gptmill` and a served model do with it
    label: str
    folder: Path
    metrics: Path  # of its evaluation
    curve: Path  # of its training
    # Of its promotion:
    measure: str  # what the scores are, in words
    test_data: tuple[Path, ...]
    train_data: tuple[Path, ...]  # it must have been trained on these, for the test data to be new to it
    leakage: str  # its data set in reports/validation.json; "": splits of one text can't share a row
    # Of its card:
    title: str
    use: str
    pipeline_tag: str  # Hugging Face's
    limits: tuple[str, ...]
    example: str  # an input

    @property
    def registered(self) -> str:
        """Its name in MLflow's registry."""
        return f"gptmill-{self.name}"


_WRITES = (
    "It writes what is likely after what it read, true or not; it knows nothing of what happened after its data.",
    "What was in its data, good or bad, may come back in what it writes, word for word too.",
)

MODEL_KINDS = {
    kind.name: kind
    for kind in (
        ModelKind(
            name="base",
            task="generate",
            label="base model",
            folder=paths.BASE_MODEL,
            metrics=paths.METRICS / "base.json",
            curve=paths.PLOTS / "pretrain.csv",
            measure="minus bits per byte",
            test_data=(paths.TOKENS, paths.TOKENIZER),
            train_data=(paths.TOKENS,),
            leakage="",
            title="A base language model",
            use="A text in, its continuation out. It follows no instructions; it is there to be tuned.",
            pipeline_tag="text-generation",
            limits=_WRITES,
            example="Once",
        ),
        ModelKind(
            name="classifier",
            task="classify",
            label="classifier",
            folder=paths.CLASSIFIER_MODEL,
            metrics=paths.METRICS / "classifier.json",
            curve=paths.PLOTS / "classifier.csv",
            measure="accuracy",
            test_data=(paths.SPAM_SPLITS / "test.parquet", paths.SPAM_SPLITS / "natural.parquet"),
            train_data=(paths.SPAM_SPLITS / "train.parquet",),
            leakage="spam",
            title="A text classifier",
            use="A text in; the top-1 class out, with the probability of each.",
            pipeline_tag="text-classification",
            limits=(
                "It knows its classes alone: a text of none of them still gets one, perhaps with confidence.",
                "It reads the first `classifier.max_length` tokens of a text; what comes after is not seen.",
                "Its probabilities hold where classes are as common as in its training split; elsewhere, they are off.",
                "Messages of another language, time or kind than its data were not measured.",
            ),
            example="WINNER!! Claim your prize now",
        ),
        ModelKind(
            name="instruct",
            task="ask",
            label="instruct model",
            folder=paths.INSTRUCT_MODEL,
            metrics=paths.METRICS / "judge.json",
            curve=paths.PLOTS / "instruct.csv",
            measure="the reference judge's mean score",
            test_data=(paths.INSTRUCTION_SPLITS / "test.jsonl",),
            train_data=(paths.INSTRUCTION_SPLITS / "train.jsonl",),
            leakage="instructions",
            title="A model that follows instructions",
            use="An instruction in (Alpaca's form), an answer out.",
            pipeline_tag="text-generation",
            limits=(*_WRITES, "It was tuned on single questions: it holds no conversation, and refuses nothing."),
            example="Name the tool of a baker.",
        ),
    )
}


def of_task(task: str) -> ModelKind:
    return next(kind for kind in MODEL_KINDS.values() if kind.task == task)


def named(names: Sequence[str]) -> list[ModelKind]:
    """The kinds of these names (classifier, gptmill-classifier); without names, those whose models are in models/."""
    if not names:
        return [kind for kind in MODEL_KINDS.values() if kind.folder.exists()]
    kinds = {key: kind for kind in MODEL_KINDS.values() for key in (kind.name, kind.registered)}
    if unknown := [name for name in names if name not in kinds]:
        raise GptmillError(f"there is no model {unknown[0]}; there are {', '.join(MODEL_KINDS)}")
    return [kinds[name] for name in names]
