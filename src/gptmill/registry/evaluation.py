"""Evaluation for promotion: a model folder of each kind on the current test data."""

import math
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.registry.decision import CALIBRATION, RECALL, Measured
from gptmill.registry.model_kinds import ModelKind, Task
from gptmill.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from gptmill.model.gpt import GPT
    from gptmill.runtime.device import Runtime

MOST_WINDOWS = 256  # of the validation tokens: a base model of any size is measured in minutes


class Ineligible(GptmillError):
    """A model that can't be measured. The message says why."""


def evaluate(kind: ModelKind, folder: Path, params: Params) -> Measured:
    """Measure the model in a folder. Raises `Ineligible` with whatever is wrong with it."""
    from gptmill.runtime import device

    for path in kind.test_data:
        if not path.exists():
            raise GptmillError(f"test data {path} not found. Run `dvc repro`")
    try:
        result = _EVALUATIONS[kind.task](folder, params, device.setup(params.compute, params.seed))
    except GptmillError as error:
        raise Ineligible(str(error)) from None
    except Exception as error:  # noqa: BLE001 - a damaged model may raise anything
        raise Ineligible(f"it can't predict ({type(error).__name__}: {error})".splitlines()[0]) from None
    if not result.scores or not all(map(math.isfinite, result.scores)):
        raise Ineligible("its predictions contain NaN or Inf")
    return result


def _accuracy(folder: Path, params: Params, runtime: "Runtime") -> Measured:
    """Correct (1) or not, per message of the test split; figures of `natural`, with the classes' real frequencies."""
    import pandas as pd

    from gptmill.evaluation import calibration
    from gptmill.inference import classification
    from gptmill.model.folder import ModelFolder

    model, tokenizer, max_length = ModelFolder(folder).load_classifier()
    classes = params.data.spam.labels
    if set(model.labels) != set(classes):
        raise Ineligible(f"its classes are {', '.join(model.labels)}, the data's {', '.join(classes)}")
    test, natural = (pd.read_parquet(paths.SPAM_SPLITS / f"{name}.parquet") for name in ("test", "natural"))
    texts = list(dict.fromkeys([*test["text"], *natural["text"]]))
    rows = classification.probabilities(model, tokenizer, texts, max_length, runtime)
    predictions = {text: classification.top_label(row, model.labels) for text, row in zip(texts, rows, strict=True)}

    def correct(split: pd.DataFrame) -> list[bool]:
        return [predictions[text][0] == label for text, label in zip(split["text"], split["label"], strict=True)]

    confidences, is_correct = [predictions[text][1] for text in natural["text"]], correct(natural)
    figures = {CALIBRATION: calibration.error(calibration.bins(confidences, is_correct))}
    for label in classes:
        of_class = [right for right, actual in zip(is_correct, natural["label"], strict=True) if actual == label]
        if of_class:
            figures[f"{RECALL}{label}"] = sum(of_class) / len(of_class)
    return Measured([float(right) for right in correct(test)], figures)


def _judge_scores(folder: Path, params: Params, runtime: "Runtime") -> Measured:
    """The reference judge's score, from 0 to 1, of the answer to each record of the test split."""
    from gptmill.evaluation.judges.reference import ReferenceJudge
    from gptmill.inference import responses
    from gptmill.inference.resumable import ResumableJsonl
    from gptmill.model.folder import ModelFolder

    model, tokenizer, template = ModelFolder(folder).load_instruct()
    records = files.read_jsonl(paths.INSTRUCTION_SPLITS / "test.jsonl")
    asked = [template.prompt(record["instruction"], record["input"]) for record in records]
    settings = params.generate, params.seed, runtime
    with tempfile.TemporaryDirectory(prefix="gptmill-") as temporary:
        progress = ResumableJsonl(Path(temporary, "answers.jsonl"))
        answers = responses.respond(model, tokenizer, template, asked, *settings, progress)
    judged = [{**record, "response": answer.response} for record, answer in zip(records, answers, strict=True)]
    return Measured([judgement["score"] / 100 for judgement in ReferenceJudge().judge(judged)])


def _bits_per_byte(folder: Path, params: Params, runtime: "Runtime") -> Measured:
    """Minus bits per byte, per window of the validation text. Not per token: tokenizers may differ."""
    from gptmill.model.folder import ModelFolder
    from gptmill.text import token_files

    model, own_tokenizer = ModelFolder(folder).load()
    model = model.to(runtime.device).eval()
    ids, size = token_files.read(paths.TOKENS, "validation"), params.model.context_length
    data_tokenizer = Tokenizer.load(paths.TOKENIZER)
    count = max(1, len(ids) // size)
    chosen = [round(i * (count - 1) / max(1, min(count, MOST_WINDOWS) - 1)) for i in range(min(count, MOST_WINDOWS))]
    scores = []
    for i in chosen:
        documents = _documents(ids[i * size : (i + 1) * size].tolist(), data_tokenizer)
        if documents:
            bits = sum(_bits(model, own_tokenizer, text, runtime) for text in documents)
            scores.append(-bits / sum(len(text.encode()) for text in documents))
    return Measured(scores)


def _documents(ids: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """The texts between end-of-text tokens, without characters that the window's edge cuts."""
    parts = [list(part) for is_end, part in groupby(ids, lambda token: token == tokenizer.end_of_text) if not is_end]
    return [text for part in parts if (text := tokenizer.decode(part).strip("\N{REPLACEMENT CHARACTER}"))]


def _bits(model: "GPT", tokenizer: Tokenizer, text: str, runtime: "Runtime") -> float:
    """The sum of -log2 p of a text's tokens, after an end-of-text token."""
    import torch

    tokens = torch.tensor([tokenizer.end_of_text, *tokenizer.encode(text)])  # (T + 1,)
    size, total = model.config.context_length, 0.0
    with torch.inference_mode(), runtime.autocast():
        for start in range(0, len(tokens) - 1, size):
            window = tokens[start : start + size + 1].to(runtime.device)
            logits = model(window[None, :-1])[0]  # (T, vocab_size)
            total += torch.nn.functional.cross_entropy(logits.float(), window[1:], reduction="sum").item()
    return total / math.log(2)


_EVALUATIONS: dict[Task, Callable[[Path, Params, "Runtime"], Measured]] = {
    "generate": _bits_per_byte,
    "classify": _accuracy,
    "ask": _judge_scores,
}
