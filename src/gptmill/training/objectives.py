"""Objectives: batches, loss and validation split of pretraining, instruction tuning and classification.

The rows of a batch depend on seed, epoch and position alone and are known before they are read, so a resumed training
skips what was seen, and a batch may be collated in parts. Losses are sums: batches weigh by their number of targets.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gptmill.model.gpt import GPT, IGNORE_INDEX, GPTClassifier, LossSums

Batch = tuple[Tensor, Tensor]


class Objective(Protocol):
    by_accuracy: bool  # the best weights have the highest validation accuracy, or the lowest loss
    seed: int

    @property
    def steps(self) -> int:
        """Batches in an epoch."""

    def epoch_batches(self, epoch: int) -> Iterable[np.ndarray]:
        """The rows of each batch, shuffled by seed and epoch."""

    def collate(self, rows: np.ndarray) -> Batch:
        """Rows of the training split as one batch."""

    def validation_batches(self) -> Iterator[Batch]: ...

    def targets(self, batch: Batch) -> int:
        """Number of targets in a batch."""

    def loss(self, model: nn.Module, batch: Batch) -> LossSums:
        """Summed loss, targets and correct targets of a batch."""


class _Tokens:
    """Token prediction: a batch is (B, T) inputs and (B, T) targets."""

    def targets(self, batch: Batch) -> int:
        return int((batch[1] != IGNORE_INDEX).sum())

    def loss(self, model: GPT, batch: Batch) -> LossSums:
        return model.loss(*batch)


@dataclass(frozen=True)
class _Texts(ABC):
    """Training on single texts, cut to `max_length` tokens, instead of a token stream."""

    train: Sequence[Any]
    validation: Sequence[Any]
    max_length: int
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        return math.ceil(len(self.train) / self.batch_size)

    def collate(self, rows: np.ndarray) -> Batch:
        return self._collate([self.train[row] for row in rows])

    def validation_batches(self) -> Iterator[Batch]:
        for i in range(0, len(self.validation), self.batch_size):
            yield self._collate(self.validation[i : i + self.batch_size])

    @abstractmethod
    def _collate(self, rows: Sequence[Any]) -> Batch:
        """Rows of the training or the validation split as one batch."""


@dataclass(frozen=True)
class NextToken(_Tokens):
    """Next-token prediction on a token stream, in windows of the context length."""

    by_accuracy: ClassVar = False
    train: np.ndarray  # (tokens,)
    validation: np.ndarray
    context_length: int
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        return math.ceil(self._windows / self.batch_size)

    @property
    def _windows(self) -> int:
        return max(1, (len(self.train) - 1) // self.context_length)

    def epoch_batches(self, epoch: int) -> Iterable[np.ndarray]:
        random = np.random.default_rng([self.seed, epoch])
        # Each epoch has another offset, so that no token is always the first of a window.
        slack = len(self.train) - 1 - self._windows * self.context_length
        offset = int(random.integers(slack + 1)) if slack > 0 else 0
        starts = offset + random.permutation(self._windows) * self.context_length
        return (starts[i : i + self.batch_size] for i in range(0, len(starts), self.batch_size))

    def collate(self, rows: np.ndarray) -> Batch:
        return self._cut(self.train, rows)

    def validation_batches(self) -> Iterator[Batch]:
        starts = np.arange(0, len(self.validation) - 1, self.context_length)
        for i in range(0, len(starts), self.batch_size):
            yield self._cut(self.validation, starts[i : i + self.batch_size])

    def _cut(self, tokens: np.ndarray, starts: np.ndarray) -> Batch:
        """Windows as (B, T) inputs and (B, T) targets; a split's last window may be shorter."""
        rows = [torch.from_numpy(tokens[start : start + self.context_length + 1].astype(np.int64)) for start in starts]
        return _pad([row[:-1] for row in rows], 0), _pad([row[1:] for row in rows], IGNORE_INDEX)


@dataclass(frozen=True)
class Example:
    """Token ids of a prompt and of its answer, which ends with the end-of-text token."""

    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True)
class Instruction(_Tokens, _Texts):
    """Predict the answer to an instruction, with its end-of-text token; padding has no targets."""

    by_accuracy: ClassVar = False
    train: Sequence[Example]
    validation: Sequence[Example]
    loss_on_prompt: bool  # predict the prompt's tokens too

    def epoch_batches(self, epoch: int) -> Iterable[np.ndarray]:
        return _by_length([len(e.prompt) + len(e.answer) for e in self.train], self.batch_size, [self.seed, epoch])

    def _collate(self, examples: Sequence[Example]) -> Batch:
        inputs, targets = [], []
        for example in examples:
            tokens = torch.tensor((example.prompt + example.answer)[: self.max_length + 1])
            target = tokens[1:].clone()
            if not self.loss_on_prompt:
                target[: len(example.prompt) - 1] = IGNORE_INDEX
            inputs.append(tokens[:-1])
            targets.append(target)
        return _pad(inputs, 0), _pad(targets, IGNORE_INDEX)


@dataclass(frozen=True)
class Classification(_Texts):
    """Predict a text's class at its last token. A batch is (B, T) tokens and (B, 2): length and class of each row."""

    by_accuracy: ClassVar = (
        True  # its loss may rise, by growing confidence in few mistakes, while accuracy still improves
    )
    train: Sequence[tuple[list[int], int]]  # tokens and class
    validation: Sequence[tuple[list[int], int]]
    class_weights: tuple[float, ...] | None = None  # in the loss; None: each 1

    def epoch_batches(self, epoch: int) -> Iterable[np.ndarray]:
        return _by_length([len(tokens) for tokens, _ in self.train], self.batch_size, [self.seed, epoch])

    def _collate(self, rows: Sequence[tuple[list[int], int]]) -> Batch:
        texts = [torch.tensor(tokens[: self.max_length]) for tokens, _ in rows]
        return _pad(texts, 0), torch.tensor([[len(text), label] for text, (_, label) in zip(texts, rows, strict=True)])

    def targets(self, batch: Batch) -> int:
        return len(batch[1])

    def loss(self, model: GPTClassifier, batch: Batch) -> LossSums:
        lengths, labels = batch[1].unbind(1)
        logits = self._logits(model, batch[0], lengths).float()
        correct = (logits.argmax(1) == labels).sum()
        # Targets count 1 each: class weights have a mean of 1 over the training split.
        weights = None if self.class_weights is None else torch.tensor(self.class_weights, device=logits.device)
        loss = cross_entropy(logits, labels, weight=weights, reduction="sum")
        return LossSums(loss, torch.tensor(len(labels), device=logits.device), correct)

    def _logits(self, model: GPTClassifier, tokens: Tensor, lengths: Tensor) -> Tensor:
        return model(tokens, lengths)


def balancing_weights(labels: Sequence[int], classes: int) -> tuple[float, ...]:
    """Rows / (classes * rows of the class) for each class (King & Zeng 2001). `labels` must have every class."""
    counts = np.bincount(labels, minlength=classes)
    return tuple((len(labels) / (classes * counts)).tolist())


def _pad(rows: Sequence[Tensor], value: int) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _by_length(lengths: Sequence[int], batch_size: int, seed: list[int]) -> list[np.ndarray]:
    """Batches of rows of similar length, with little padding, in random order and different in each epoch."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    # Sorted within pools of some batches: sorting all rows would make the same batches in each epoch.
    pool = batch_size * 16
    batches = []
    for i in range(0, len(order), pool):
        rows = sorted(order[i : i + pool], key=lambda row: lengths[row])
        batches += [np.array(rows[j : j + batch_size]) for j in range(0, len(rows), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]
