"""What a frozen backbone makes of each text: worked out once, instead of in each epoch and each evaluation.

A classifier of which only the head, or the last block, learns is given the same by the rest of its backbone each time. Each text goes through
that part alone, without padding, so that what is kept is what would be worked out again: to the last bit, in float32 and in bf16.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gptmill.model.gpt import GPTClassifier
from gptmill.runtime.device import Runtime
from gptmill.training.objectives import Batch, Classification
from gptmill.training.optim.master_weights import MasterWeights

IN_MEMORY = 1 << 30  # bytes; more is kept in a file, of which the system holds in memory what it has room for


class Activations(Protocol):
    """What the frozen part gives for each of some texts."""

    def __getitem__(self, row: int) -> Tensor:
        """(T, C) of one text."""


class Fresh:
    """Worked out whenever they are asked for."""

    def __init__(self, model: GPTClassifier, texts: Sequence[list[int]], runtime: Runtime) -> None:
        self._model, self._texts, self._runtime = model, texts, runtime
        self.dtype = torch.bfloat16 if runtime.bf16 else torch.float32

    @torch.no_grad()
    def __getitem__(self, row: int) -> Tensor:
        with self._runtime.autocast():
            found = self._model.features(torch.tensor([self._texts[row]], device=self._runtime.device))
        return found.to("cpu", self.dtype)


class Kept:
    """Worked out once, here and now."""

    def __init__(self, fresh: Fresh, sizes: Sequence[int], channels: int, name: str) -> None:
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        self._all = _room(self._starts[-1], channels, fresh.dtype)
        for row in tqdm(range(len(sizes)), desc=name, unit="text", disable=None):
            self._all[self._starts[row] : self._starts[row + 1]] = fresh[row]

    def __getitem__(self, row: int) -> Tensor:
        return self._all[self._starts[row] : self._starts[row + 1]]


@dataclass(frozen=True)
class FrozenClassification(Classification):
    """`Classification` by a model whose backbone is frozen up to its last block or head: a batch has activations in place of tokens."""

    activations: tuple[Activations, Activations] = ((), ())  # of the training and the validation split

    @classmethod
    def of(cls, task: Classification, model: GPTClassifier, runtime: Runtime, *, keep: bool) -> Self:
        """The same task. `keep`: work the activations out now and keep them; else whenever they are needed."""
        model.to(runtime.device).eval()
        # One text is a thin batch: casting all weights for it, as autocast would, takes longer than computing with them.
        weights = MasterWeights(model, half=runtime.bf16 and keep)
        activations = []
        for name, rows in (("training", task.train), ("validation", task.validation)):
            if name == "validation":
                weights.to_float32()  # as in the loop: what is measured is what would be saved
            texts = [tokens[: task.max_length] for tokens, _ in rows]
            found: Activations = Fresh(model, texts, runtime)
            if keep:
                sizes = [len(text) if model.trainable_from() == "last_block" else 1 for text in texts]
                found = Kept(found, sizes, model.config.d_model, f"frozen backbone, {name} texts")
            activations.append(found)
        return cls(**{field.name: getattr(task, field.name) for field in fields(task)}, activations=tuple(activations))

    def collate(self, rows: np.ndarray) -> Batch:
        return self._given(0, rows.tolist())

    def validation_batches(self) -> Iterator[Batch]:
        for i in range(0, len(self.validation), self.batch_size):
            yield self._given(1, range(i, min(i + self.batch_size, len(self.validation))))

    def _given(self, split: int, rows: Sequence[int]) -> Batch:
        """(B, T, C) activations, and (B, 2) length and class of each row."""
        given = [self.activations[split][row] for row in rows]
        labels = [(self.train, self.validation)[split][row][1] for row in rows]
        padded = torch.nn.utils.rnn.pad_sequence(given, batch_first=True)
        return padded, torch.tensor([[len(one), label] for one, label in zip(given, labels, strict=True)])

    def _logits(self, model: GPTClassifier, given: Tensor, lengths: Tensor) -> Tensor:
        return model.forward_from_features(given, lengths)


def _room(rows: int, channels: int, dtype: torch.dtype) -> Tensor:
    """(rows, channels) in memory, or in a file that nobody else sees and that is gone when the process is."""
    if rows * channels * dtype.itemsize <= IN_MEMORY:
        return torch.empty(rows, channels, dtype=dtype)
    with tempfile.TemporaryDirectory(prefix="gptmill-") as folder:
        path = Path(folder) / "activations"
        return torch.from_file(str(path), shared=True, size=rows * channels, dtype=dtype).view(rows, channels)
