"""A model and its tokenizer from one folder: of one version of it, and made for each other."""

from pathlib import Path

from gptmill.core import files
from gptmill.core.errors import GptmillError, listing
from gptmill.model import hf_config, weights
from gptmill.model.gpt import GPT, GPTClassifier, GPTConfig
from gptmill.text.tokenizer import END_OF_TEXT, Tokenizer


def load_with_tokenizer(folder: Path) -> tuple[GPT, Tokenizer]:
    """A language model and its tokenizer, both of one version of the folder. Raises `GptmillError` when they do not fit."""

    def read(folder: Path) -> tuple[GPT, Tokenizer]:
        model, tokenizer = weights.load(folder), Tokenizer.load(folder)
        demand_fitting(tokenizer, model.config, folder)
        return model, tokenizer

    return files.read_snapshot(folder, read)


def load_base(folder: Path, tokenizer: Tokenizer) -> GPT:
    """A model to be tuned on the ids of a tokenizer. Raises `GptmillError` when it was trained on those of another one."""
    model, own = load_with_tokenizer(folder)
    if not own.is_equivalent(tokenizer):
        raise GptmillError(
            f"{folder} was trained with another tokenizer ({own.vocab_size:,} tokens) than the one that encodes the data here "
            f"({tokenizer.vocab_size:,} tokens): run `dvc repro pretrain`, or set params.yaml to the tokenizer of this base"
        )
    return model


def load_classifier_with_tokenizer(folder: Path) -> tuple[GPTClassifier, Tokenizer, int]:
    """A classifier, its tokenizer and how many tokens of a text it was trained to read, all of one version of the folder."""

    def read(folder: Path) -> tuple[GPTClassifier, Tokenizer, int]:
        model, tokenizer = weights.load_classifier(folder), Tokenizer.load(folder)
        demand_fitting(tokenizer, model.config, folder)
        return model, tokenizer, min(Tokenizer.max_length(folder), model.config.context_length)

    return files.read_snapshot(folder, read)


def demand_fitting(tokenizer: Tokenizer, config: GPTConfig, folder: Path) -> None:
    """Raises `GptmillError` when the tokenizer has ids that the model has not, or another end of text than the folder's configs say."""
    problems = []
    if tokenizer.vocab_size > config.vocab_size:
        problems.append(
            f"the tokenizer has {tokenizer.vocab_size:,} tokens, more than the model's {config.vocab_size:,}"
        )
    for name in (hf_config.NAME, "generation_config.json"):
        ends = hf_config.ends_of_text(folder / name) - {tokenizer.end_of_text}
        if ends := sorted(
            end for end in ends if end < config.vocab_size
        ):  # transformers' default is GPT-2's, whatever the vocabulary
            problems.append(
                f"{name} ends a text with id {ends[0]}, the tokenizer with {tokenizer.end_of_text} ({END_OF_TEXT})"
            )
    if problems:
        raise GptmillError(f"the tokenizer in {folder} does not fit the model:\n" + listing(problems))
