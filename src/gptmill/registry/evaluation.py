"""The trials: the current test data of each model, and what a model folder makes of it."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.registry import model_card
from gptmill.registry.decision import CALIBRATION, RECALL, Measured
from gptmill.registry.log_model import Task

if TYPE_CHECKING:
    from gptmill.model.gpt import GPT
    from gptmill.runtime.device import Runtime
    from gptmill.text.tokenizer import Tokenizer

MOST_WINDOWS = 256  # of the validation tokens: a base model of any size is measured in minutes


class Ineligible(GptmillError):
    """A model that can't take the trial. The message says why."""


@dataclass(frozen=True)
class Trial:
    """How one kind of model is measured."""

    name: str  # base, classifier, instruct: the folder's name under models/
    task: Task
    folder: Path
    metrics: Path  # of its evaluation
    measure: str  # what the scores are, in words
    tests: tuple[Path, ...]  # what it is measured on
    learnt: tuple[Path, ...]  # what it must have been trained on, for the tests to be new to it
    leakage: str  # its data set in reports/validation.json; empty: splits of one text can't share a row
    run: Callable[[Path, Params], Measured]

    @property
    def registered(self) -> str:
        return f"gptmill-{self.name}"

    def card(self) -> str:
        """The card of the model in the workspace, with the metrics that its evaluation wrote there."""
        try:
            metrics = files.read_json(self.metrics)
        except (OSError, ValueError):
            metrics = {}
        return model_card.of_folder(self.folder, self.task, metrics)

    def take(self, folder: Path, params: Params) -> Measured:
        """Measure the model in a folder. Raises `Ineligible` when it can't be; whatever is wrong with it, that is what there is to say."""
        for path in self.tests:
            if not path.exists():
                raise GptmillError(f"{path} is not here: the test data is made by `dvc repro`")
        try:
            found = self.run(folder, params)
        except GptmillError as error:
            raise Ineligible(str(error)) from None
        except Exception as error:  # noqa: BLE001 - a damaged model may raise anything
            raise Ineligible(f"it can't predict ({type(error).__name__}: {error})".splitlines()[0]) from None
        if not found.scores or not all(map(math.isfinite, found.scores)):
            raise Ineligible("it predicts no numbers (NaN)")
        return found


def _classify(folder: Path, params: Params) -> Measured:
    """Right or wrong on each message of the test split; the guards' figures are of the classes as they really are spread (`natural`)."""
    import pandas as pd

    from gptmill.evaluation import calibration
    from gptmill.inference import classification
    from gptmill.model import folders
    from gptmill.runtime import device

    runtime = device.setup(params.compute, params.seed)
    model, tokenizer, max_length = folders.load_classifier_with_tokenizer(folder)
    classes = params.data.spam.labels
    if set(model.labels) != set(classes):
        raise Ineligible(f"its classes are {', '.join(model.labels)}, the data's {', '.join(classes)}")
    splits = {name: pd.read_parquet(paths.SPAM_SPLITS / f"{name}.parquet") for name in ("test", "natural")}
    texts = list(dict.fromkeys([*splits["test"]["text"], *splits["natural"]["text"]]))
    rows = classification.probabilities(model, tokenizer, texts, max_length, runtime)
    said = {text: classification.top_label(row, model.labels) for text, row in zip(texts, rows, strict=True)}
    answers = {name: [said[text] for text in split["text"]] for name, split in splits.items()}
    right = {
        name: [found == label for (found, _), label in zip(answers[name], split["label"], strict=True)]
        for name, split in splits.items()
    }
    figures = {
        CALIBRATION: calibration.error(calibration.bins([sure for _, sure in answers["natural"]], right["natural"]))
    }
    for label in classes:
        of_class = [
            is_right
            for is_right, actual in zip(right["natural"], splits["natural"]["label"], strict=True)
            if actual == label
        ]
        if of_class:
            figures[f"{RECALL}{label}"] = sum(of_class) / len(of_class)
    return Measured([float(is_right) for is_right in right["test"]], figures)


def _ask(folder: Path, params: Params) -> Measured:
    """The reference judge's score, from 0 to 1, of the answer to each record of the test split."""
    from gptmill.evaluation.judges.reference import ReferenceJudge
    from gptmill.inference import responses
    from gptmill.inference.resumable import ResumableJsonl
    from gptmill.model import folders
    from gptmill.runtime import device
    from gptmill.text import prompts

    runtime = device.setup(params.compute, params.seed)
    (model, tokenizer), template = files.read_snapshot(
        folder, lambda folder: (folders.load_with_tokenizer(folder), prompts.load_template(folder))
    )
    records = files.read_jsonl(paths.INSTRUCTION_SPLITS / "test.jsonl")
    asked = [template.prompt(record["instruction"], record["input"]) for record in records]
    with tempfile.TemporaryDirectory(prefix="gptmill-") as passing:
        progress = ResumableJsonl(Path(passing, "answers.jsonl"))
        answers = responses.respond(model, tokenizer, template, asked, params.generate, params.seed, runtime, progress)
    judged = [{**record, "response": answer.response} for record, answer in zip(records, answers, strict=True)]
    return Measured([judgement["score"] / 100 for judgement in ReferenceJudge().judge(judged)])


def _generate(folder: Path, params: Params) -> Measured:
    """Minus the bits that the model needs for a byte, for each window of the validation text.

    Bits a byte, and of the text: a champion with another tokenizer is measured on the same.
    """
    from gptmill.model import folders
    from gptmill.runtime import device
    from gptmill.text import token_files

    runtime = device.setup(params.compute, params.seed)
    model, tokenizer = folders.load_with_tokenizer(folder)
    model = model.to(runtime.device).eval()
    ids, ours, size = (
        token_files.read(paths.TOKENS, "validation"),
        Tokenizer.load(paths.TOKENIZER),
        params.model.context_length,
    )
    count = max(1, len(ids) // size)
    chosen = [round(i * (count - 1) / max(1, min(count, MOST_WINDOWS) - 1)) for i in range(min(count, MOST_WINDOWS))]
    scores = []
    for i in chosen:
        documents = _documents(ids[i * size : (i + 1) * size].tolist(), ours)
        if documents:
            bits = sum(_bits(model, tokenizer, text, runtime) for text in documents)
            scores.append(-bits / sum(len(text.encode()) for text in documents))
    return Measured(scores)


def _documents(ids: Sequence[int], tokenizer: "Tokenizer") -> list[str]:
    """The texts between ends of text. A character that a window's edge cuts is left out."""
    parts: list[list[int]] = [[]]
    for token in ids:
        if token == tokenizer.end_of_text:
            parts.append([])
        else:
            parts[-1].append(token)
    return [text for part in parts if (text := tokenizer.decode(part).strip("\N{REPLACEMENT CHARACTER}"))]


def _bits(model: "GPT", tokenizer: "Tokenizer", text: str, runtime: "Runtime") -> float:
    """How many bits the model needs to tell a text, from an end of text on: the sum of -log2 of what it gave each token."""
    import torch

    tokens = torch.tensor([tokenizer.end_of_text, *tokenizer.encode(text)])  # (T + 1,)
    size, total = model.config.context_length, 0.0
    with torch.inference_mode(), runtime.autocast():
        for start in range(0, len(tokens) - 1, size):
            window = tokens[start : start + size + 1].to(runtime.device)
            logits = model(window[None, :-1])[0]  # (T, vocab_size)
            total += torch.nn.functional.cross_entropy(logits.float(), window[1:], reduction="sum").item()
    return total / math.log(2)


TRIALS = {
    trial.name: trial
    for trial in (
        Trial(
            "base", "generate", paths.BASE_MODEL, paths.METRICS / "base.json", "minus bits a byte",
            (paths.TOKENS, paths.TOKENIZER), (paths.TOKENS,), "", _generate,
        ),
        Trial(
            "classifier", "classify", paths.CLASSIFIER_MODEL, paths.METRICS / "classifier.json", "accuracy",
            (paths.SPAM_SPLITS / "test.parquet", paths.SPAM_SPLITS / "natural.parquet"), (paths.SPAM_SPLITS / "train.parquet",), "spam",
            _classify,
        ),
        Trial(
            "instruct", "ask", paths.INSTRUCT_MODEL, paths.METRICS / "judge.json", "the reference judge's mean score",
            (paths.INSTRUCTION_SPLITS / "test.jsonl",), (paths.INSTRUCTION_SPLITS / "train.jsonl",), "instructions", _ask,
        ),
    )
}  # fmt: skip
