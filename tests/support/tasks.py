"""Small tasks for each objective of a training, and models for them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from gptmill.config.schema import LoRAParams
from gptmill.model import lora
from gptmill.model.gpt import GPT, GPTClassifier, GPTConfig
from gptmill.training.objectives import Classification, Example, Instruction, NextToken, Objective


@dataclass(frozen=True)
class Task:
    """A model as it is before training, made anew each time, and what it is to learn: 4 batches of 4 rows an epoch."""

    model: Callable[[], nn.Module]
    objective: Objective


def _gpt(dropout: float) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=12, context_length=16, n_layers=1, n_heads=2, d_model=16, dropout=dropout))


def _adapted(dropout: float) -> GPT:
    model = _gpt(dropout)
    lora.attach(model, LoRAParams(rank=2, alpha=4.0, dropout=dropout, target_modules=["qkv", "up_proj"]))
    return model


def _classifier(dropout: float) -> GPTClassifier:
    model = GPTClassifier(_gpt(dropout).backbone, ["a", "b"])
    model.freeze_all_but("last_block")
    return model


def make_task(name: str, dropout: float = 0.2) -> Task:
    random = np.random.default_rng(1)
    tokens = random.integers(0, 12, 16 * 8 + 3).astype(np.uint16)
    rows = [random.integers(1, 12, size).tolist() for size in random.integers(2, 12, 16)]
    examples = [Example(row[: len(row) // 2 + 1], [*row[len(row) // 2 + 1 :], 0]) for row in rows]
    labelled = [(row, row[-1] % 2) for row in rows]
    return {
        "next_token": Task(
            lambda: _gpt(dropout), NextToken(tokens, tokens[:50], context_length=8, batch_size=4, seed=3)
        ),
        "instruction": Task(lambda: _gpt(dropout), Instruction(examples, examples, 16, 4, 3, loss_on_prompt=False)),
        "classification": Task(lambda: _classifier(dropout), Classification(labelled, labelled, 16, 4, 3)),
        "lora": Task(lambda: _adapted(dropout), Instruction(examples, examples, 16, 4, 3, loss_on_prompt=True)),
    }[name]
