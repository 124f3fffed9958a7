"""The KV cache: keys and values of the tokens read so far, and attention to them."""

from typing import NamedTuple

import torch
from torch import Tensor

from gptmill.model.gpt import GPTConfig


class KVCache(NamedTuple):
    """Keys and values of every token read. Keys are columns: the product with them is twice as fast."""

    keys: Tensor  # (layers, B, H, D, capacity)
    values: Tensor  # (layers, B, H, capacity, D)

    @classmethod
    def allocate(cls, config: GPTConfig, rows: int, capacity: int, like: Tensor) -> "KVCache":
        """An empty cache. On CPUs in float32, where products of single rows are faster in it."""
        shape = (config.n_layers, rows, config.n_heads, capacity, config.d_model // config.n_heads)
        dtype = torch.float32 if like.device.type == "cpu" else like.dtype
        values = torch.empty(shape, dtype=dtype, device=like.device)
        return cls(torch.empty_like(values.mT, memory_format=torch.contiguous_format), values)

    def select_rows(self, index: Tensor) -> "KVCache":
        return KVCache(self.keys[:, index], self.values[:, index])


def attend_to_cache(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of one token per row to all cached ones: (B, H, 1, D), (B, H, D, T), (B, H, T, D) -> (B, H, 1, D)."""
    scores = (q @ keys).mul_(q.shape[3] ** -0.5)
    return (scores if mask is None else scores.add_(mask)).softmax(-1) @ values
