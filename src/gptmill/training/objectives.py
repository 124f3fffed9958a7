"""What a model learns: which batches it sees, what its loss is, and how well it does on the validation split.

Which rows a step sees depends on the seed, the epoch and the step's place in it alone, and is known before any of them is read: a training
that goes on in the middle of an epoch skips what was seen, and a batch may be collated in parts. Losses are sums with the number of targets
that they sum over, so that batches of different sizes weigh by what is in them.
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
    by_accuracy: (
        bool  # whether the best weights are those with the highest validation accuracy, or with the lowest loss
    )
    seed: int

    @property
    def steps(self) -> int:
        """Batches in an epoch."""

    def epoch_batches(self, epoch: int) -> Iterable[np.ndarray]:
        """The rows of each of the epoch's batches, in the order that its seed gives."""

    def collate(self, rows: np.ndarray) -> Batch:
        """Those rows of the training split as one batch."""

    def validation_batches(self) -> Iterator[Batch]: ...

    def targets(self, batch: Batch) -> int:
        """How many targets a batch has, known without a model."""

    def loss(self, model: nn.Module, batch: Batch) -> LossSums:
        """Sums, not means: batches weigh by their targets."""


class _Tokens:
    """What predicts tokens: a batch is (B, T) inputs and (B, T) targets."""

    def targets(self, batch: Batch) -> int:
        return int((batch[1] != IGNORE_INDEX).sum())

    def loss(self, model: GPT, batch: Batch) -> LossSums:
        return model.loss(*batch)


@dataclass(frozen=True)
class _Texts(ABC):
    """What learns from texts, each whole and cut to `max_length` tokens, not from a stream of them."""

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
    """Predict each token of a long row of them from those before it, in windows of the context's length."""

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
        # Each epoch cuts at other places, so that no token always stands at a window's start.
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
        """Windows as (B, T) inputs and (B, T) targets; the last window of a split may be shorter."""
        rows = [torch.from_numpy(tokens[start : start + self.context_length + 1].astype(np.int64)) for start in starts]
        return _pad([row[:-1] for row in rows], 0), _pad([row[1:] for row in rows], IGNORE_INDEX)


@dataclass(frozen=True)
class Example:
    """A prompt and the answer to it, in tokens; the answer ends with the end-of-text token."""

    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True)
class Instruction(_Tokens, _Texts):
    """Predict the answer to an instruction; the end-of-text token that ends it counts, what pads a batch does not."""

    by_accuracy: ClassVar = False
    train: Sequence[Example]
    validation: Sequence[Example]
    loss_on_prompt: bool  # whether the prompt's own tokens are predicted too

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
    """Tell the class of a text from the last of its tokens. A batch is (B, T) tokens and (B, 2): length and class of each row."""

    # A classifier that grows surer of its few mistakes has a rising loss while it still gets more texts right.
    by_accuracy: ClassVar = True
    train: Sequence[tuple[list[int], int]]  # tokens and class
    validation: Sequence[tuple[list[int], int]]
    class_weights: tuple[float, ...] | None = None  # what a text of each class counts in the loss; None: each counts 1

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
        # The targets stay whole numbers: weights have a mean of 1 over the training split, so that a loss a target stays what it was.
        weights = None if self.class_weights is None else torch.tensor(self.class_weights, device=logits.device)
        loss = cross_entropy(logits, labels, weight=weights, reduction="sum")
        return LossSums(loss, torch.tensor(len(labels), device=logits.device), correct)

    def _logits(self, model: GPTClassifier, tokens: Tensor, lengths: Tensor) -> Tensor:
        return model(tokens, lengths)


def balancing_weights(labels: Sequence[int], classes: int) -> tuple[float, ...]:
    """Rows / (classes · rows of the class) for each class, so that all classes weigh the same together (King & Zeng 2001).

    Every class must be among `labels`.
    """
    counts = np.bincount(labels, minlength=classes)
    return tuple((len(labels) / (classes * counts)).tolist())


def _pad(rows: Sequence[Tensor], value: int) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _by_length(lengths: Sequence[int], batch_size: int, seed: list[int]) -> list[np.ndarray]:
    """Batches of rows of like length, in random order: hardly anything is padding. Which rows share a batch varies from epoch to epoch."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    # Sorting all would make the same batches each time; sorting within pools of a few batches keeps both lengths and company mixed.
    pool = batch_size * 16
    batches = []
    for i in range(0, len(order), pool):
        rows = sorted(order[i : i + pool], key=lambda row: lengths[row])
        batches += [np.array(rows[j : j + batch_size]) for j in range(0, len(rows), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]
