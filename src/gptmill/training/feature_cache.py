"""Cached features of a frozen backbone: computed once per text instead of in each epoch and evaluation.

For classifiers of which only the head or the last block learns. Each text goes through the frozen part without padding,
so cached and recomputed features have the same bits, in float32 and in bf16.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gptmill.model.gpt import GPTClassifier
from gptmill.runtime.device import Runtime
from gptmill.training.objectives import Batch, Classification
from gptmill.training.optim.master_weights import MasterWeights

IN_MEMORY = 1 << 30  # bytes; a larger cache is a memory-mapped file


class ComputedFeatures:
    """Output of the frozen part, (T, C) for each text, computed on each access."""

    def __init__(self, model: GPTClassifier, texts: Sequence[list[int]], runtime: Runtime) -> None:
        self._model, self._texts, self._runtime = model, texts, runtime
        self.dtype = torch.bfloat16 if runtime.bf16 else torch.float32

    @torch.no_grad()
    def __getitem__(self, row: int) -> Tensor:
        with self._runtime.autocast():
            features = self._model.features(torch.tensor([self._texts[row]], device=self._runtime.device))
        return features.to("cpu", self.dtype)


class CachedFeatures:
    """The same, computed once, at the start."""

    def __init__(self, computed: ComputedFeatures, sizes: Sequence[int], channels: int, name: str) -> None:
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        self._all = _allocate(self._starts[-1], channels, computed.dtype)
        for row in tqdm(range(len(sizes)), desc=name, unit="text", disable=None):
            self._all[self._starts[row] : self._starts[row + 1]] = computed[row]

    def __getitem__(self, row: int) -> Tensor:
        return self._all[self._starts[row] : self._starts[row + 1]]


Features = ComputedFeatures | CachedFeatures


@dataclass(frozen=True)
class FrozenClassification(Classification):
    """`Classification` with a backbone frozen up to its last block or head: batches of features in place of tokens."""

    features: tuple[Features, Features] = ((), ())  # of the training and the validation split

    @classmethod
    def of(cls, task: Classification, model: GPTClassifier, runtime: Runtime, *, cache: bool) -> Self:
        """The same task. `cache`: compute all features now; else on each access."""
        model.to(runtime.device).eval()
        # For a batch of one text, autocast's cast of all weights takes longer than the products.
        weights = MasterWeights(model, bf16=runtime.bf16 and cache)
        features = []
        for name, rows in (("training", task.train), ("validation", task.validation)):
            if name == "validation":
                weights.to_float32()  # as in the trainer: measured are the weights that would be saved
            texts = [tokens[: task.max_length] for tokens, _ in rows]
            split: Features = ComputedFeatures(model, texts, runtime)
            if cache:
                sizes = [len(text) if model.trainable_from() == "last_block" else 1 for text in texts]
                split = CachedFeatures(split, sizes, model.config.d_model, f"frozen backbone, {name} texts")
            features.append(split)
        return cls(**{field.name: getattr(task, field.name) for field in fields(task)}, features=tuple(features))

    def collate(self, rows: np.ndarray) -> Batch:
        return self._batch(0, rows.tolist())

    def validation_batches(self) -> Iterator[Batch]:
        for i in range(0, len(self.validation), self.batch_size):
            yield self._batch(1, range(i, min(i + self.batch_size, len(self.validation))))

    def _batch(self, split: int, rows: Sequence[int]) -> Batch:
        """(B, T, C) features, and (B, 2) length and class of each row."""
        features = [self.features[split][row] for row in rows]
        labels = [(self.train, self.validation)[split][row][1] for row in rows]
        lengths = torch.tensor([[len(one), label] for one, label in zip(features, labels, strict=True)])
        return torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths

    def _logits(self, model: GPTClassifier, features: Tensor, lengths: Tensor) -> Tensor:
        return model.forward_from_features(features, lengths)


def _allocate(rows: int, channels: int, dtype: torch.dtype) -> Tensor:
    """(rows, channels) in memory, or in an unlinked file that ends with the process."""
    if rows * channels * dtype.itemsize <= IN_MEMORY:
        return torch.empty(rows, channels, dtype=dtype)
    with tempfile.TemporaryDirectory(prefix="gptmill-") as folder:
        path = Path(folder) / "features"
        return torch.from_file(str(path), shared=True, size=rows * channels, dtype=dtype).view(rows, channels)
