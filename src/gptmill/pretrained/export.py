"""Export: the book's names in a `.pth`, or a Hugging Face folder, which our model folders are already."""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.model import hf_config
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPT
from gptmill.model.tensor_names import BOOK, places, to_theirs


def to_book(model: GPT, path: Path) -> None:
    """Write a bare state dict that the book's `GPTModel` of the same config loads, its causal masks included.

    It is a pickle, as the book's, of tensors alone, and loads with `weights_only=True`.
    Raises `GptmillError` for a model with another GELU than the book's.
    """
    if model.config.exact_gelu:
        raise GptmillError(
            "the book's GPTModel has GELU in its tanh form, this model has the exact one: export it as huggingface"
        )
    with files.atomic(path) as tmp:
        torch.save(book_state_dict(model), tmp)


def book_state_dict(model: GPT) -> dict[str, Tensor]:
    config = model.config
    state = model.backbone.state_dict()
    # One for all blocks: torch.save writes a shared tensor once.
    mask = torch.triu(torch.ones(config.context_length, config.context_length), diagonal=1)
    named: dict[str, Tensor] = {}
    for place in places(BOOK, config.n_layers):
        if place.ours in state:
            theirs = to_theirs(place, BOOK, state[place.ours].to("cpu", torch.float32))
            named |= {name: tensor.clone() for name, tensor in zip(place.theirs, theirs, strict=True)}
    for i in range(config.n_layers):
        named[BOOK.block.format(i=i) + "att.mask"] = mask
    named[BOOK.head] = (
        named["tok_emb.weight"] if config.tie_weights else model.head.weight.detach().to("cpu", torch.float32).clone()
    )
    return named


def to_huggingface(folder: Path, to: Path) -> None:
    """Copy one version of a model folder, after a check that its weights fit its config."""

    def copy(folder: Path) -> None:
        shutil.rmtree(tmp, ignore_errors=True)
        tmp.mkdir()
        _, settings = hf_config.read(folder / hf_config.NAME)
        if hf_config.is_classifier(settings):
            ModelFolder(folder).load_gpt_classifier()
        else:
            ModelFolder(folder).load_gpt()
        for name in ModelFolder.FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, tmp / name)

    with files.atomic(to) as tmp:
        files.read_snapshot(folder, copy)


def refuse_existing(path: Path) -> None:
    """Raises `GptmillError` rather than overwrite a user's file or folder."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise GptmillError(f"{path} is there already: name another place, or remove it first")
