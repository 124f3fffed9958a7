"""A model that only reads and writes: each token is read once, and what later ones need of it, its keys and values, is kept.

`Decoder(model).read(rows, room)` reads whole rows, many at once, and gives the logits of what follows each;
`DecodeState.add` reads one token per row.
Rows of different lengths stand against the right edge; what is left of a row is hidden, and its positions count from its own first token,
so a row gives what it gives alone.

With `half`, the weights are copied once to bf16. On CPUs they are laid out for oneDNN's products too, which is what takes the time there:
torch would lay them out again for each token, and adds bias and GELU in steps of their own. What is summed up stays float32: the residual
stream, the norms, and attention, whose kernel for CPUs is faster with it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from gptmill.model.gpt import GPT, Block, GPTConfig

Layer = Callable[[Tensor], Tensor]


class Decoder:
    """The model's own weights as they are now, or bf16 copies of them as they were when this was made."""

    @torch.inference_mode()
    def __init__(self, model: GPT, *, half: bool = False) -> None:
        self.model, self.config = model, model.config
        self._blocks = [_Block.of(block, half) for block in model.trunk.blocks]
        self._head = _HalfHead(model.head) if half else model.head

    @property
    def device(self) -> torch.device:
        return self.model.trunk.token_embedding.weight.device

    def read(self, rows: Sequence[Sequence[int]], room: int) -> tuple["DecodeState", Tensor]:
        """Read rows of at least one token, and keep room for so many more. With it, the logits (B, V) of what follows each row.

        Raises `ValueError` when a row is longer than the context.
        """
        reading = DecodeState(self, rows, room)
        return reading, reading.start(rows)

    def through(self, tokens: Tensor, positions: Tensor, kept: "KVCache", start: int, mask: Tensor | None) -> Tensor:
        """(B, T) tokens, of which `start` were read before -> logits (B, V) after the last. Their keys and values are added to `kept`.

        T is 1, or `start` is 0. `mask`: (B, 1, T, start + T), what is added to the scores; None: no token is hidden.
        """
        trunk, (B, T), H = self.model.trunk, tokens.shape, self.config.n_heads
        x = trunk.token_embedding(tokens) + trunk.position_embedding(positions)
        C, end = x.shape[2], start + T
        layers = zip(self._blocks, kept.keys[..., :end].unbind(0), kept.values[..., :end, :].unbind(0), strict=True)
        for i, (block, keys, values) in enumerate(layers):
            q, k, v = (
                block.qkv(block.attention_norm(x)).view(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
            )  # each (B, H, T, D)
            keys[..., start:], values[..., start:, :] = k.mT, v
            if i == len(self._blocks) - 1 and T > 1:  # of the last block, only what the last token becomes is needed
                q, x, mask = q[:, :, -1:], x[:, -1:], None if mask is None else mask[:, :, -1:]
            q = q.to(keys.dtype)
            if T > 1:
                causal = mask is None and q.shape[2] > 1
                heads = scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), attn_mask=mask, is_causal=causal)
            else:
                heads = attend_to_cache(q, keys, values, mask)
            x = x + block.out_proj(heads.transpose(1, 2).reshape(B, -1, C).to(x.dtype))
            x = x + block.down_proj(block.up_proj(block.feed_forward_norm(x)))
        return self._head(trunk.final_norm(x[:, -1]))


class DecodeState:
    """Where a decoder stands in some rows."""

    def __init__(self, decoder: Decoder, rows: Sequence[Sequence[int]], room: int) -> None:
        config, device = decoder.config, decoder.device
        self._decoder = decoder
        width, shortest = max(map(len, rows)), min(map(len, rows))
        if width > config.context_length:
            raise ValueError(f"{width} tokens do not fit into a context of {config.context_length}")
        capacity = width + min(room, config.context_length - shortest)
        self._kept = KVCache.room(config, len(rows), capacity, decoder.model.trunk.token_embedding.weight)
        self._length = 0
        self._left = torch.tensor([width - len(row) for row in rows], device=device)  # of each row, what is hidden
        self._hidden = self._hide(capacity)

    def start(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, V) after each whole row."""
        width = max(map(len, rows))
        tokens = torch.tensor([[0] * (width - len(row)) + [*row] for row in rows], device=self._left.device)
        positions = (torch.arange(width, device=tokens.device) - self._left[:, None]).clamp(min=0)
        mask = None
        if self._hidden is not None:
            # A hidden token still looks at itself: a softmax over nothing would be NaN, and spread.
            later = torch.full((width, width), -torch.inf, dtype=self._hidden.dtype, device=tokens.device).triu(1)
            mask = (self._hidden[..., :width] + later).masked_fill(
                torch.eye(width, dtype=torch.bool, device=tokens.device), 0
            )
        return self._go(tokens, positions, mask)

    def add(self, tokens: Sequence[int]) -> Tensor:
        """One more token a row; returns the logits (B, V) of what follows it."""
        positions = (self._length - self._left)[:, None]
        mask = None if self._hidden is None else self._hidden[..., : self._length + 1]
        return self._go(torch.tensor(tokens, device=self._left.device)[:, None], positions, mask)

    def keep(self, rows: Sequence[int]) -> None:
        """Forget every row but these."""
        index = torch.tensor(rows, device=self._left.device)
        self._kept, self._left = self._kept.of_rows(index), self._left[index]
        self._hidden = self._hide(self._kept.values.shape[3])

    def _go(self, tokens: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        logits = self._decoder.through(tokens, positions, self._kept, self._length, mask)
        self._length += tokens.shape[1]
        return logits

    def _hide(self, capacity: int) -> Tensor | None:
        """(B, 1, 1, capacity), minus infinity where a row has not begun; None when all rows begin at the edge."""
        if not self._left.any():
            return None
        before = torch.arange(capacity, device=self._left.device) < self._left[:, None]
        return torch.zeros(before.shape, dtype=self._kept.values.dtype, device=before.device).masked_fill(
            before, -torch.inf
        )[:, None, None]


class KVCache(NamedTuple):
    """What later tokens need of those that were read. A token's keys stand in a column: the product with them is twice as fast so."""

    keys: Tensor  # (layers, B, H, D, capacity)
    values: Tensor  # (layers, B, H, capacity, D)

    @classmethod
    def room(cls, config: GPTConfig, rows: int, capacity: int, like: Tensor) -> "KVCache":
        """For so many tokens of each row, not filled. On CPUs in float32, whose products of single rows are the faster ones there."""
        shape = (config.n_layers, rows, config.n_heads, capacity, config.d_model // config.n_heads)
        values = torch.empty(
            shape, dtype=torch.float32 if like.device.type == "cpu" else like.dtype, device=like.device
        )
        return cls(torch.empty_like(values.mT, memory_format=torch.contiguous_format), values)

    def of_rows(self, index: Tensor) -> "KVCache":
        return KVCache(self.keys[:, index], self.values[:, index])


def attend_to_cache(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of one token a row to all that are kept: (B, H, 1, D), (B, H, D, T), (B, H, T, D) -> (B, H, 1, D)."""
    scores = (q @ keys).mul_(q.shape[3] ** -0.5)
    return (scores if mask is None else scores.add_(mask)).softmax(-1) @ values


class _Block(NamedTuple):
    """The steps of one block."""

    attention_norm: Layer
    qkv: Layer
    out_proj: Layer
    feed_forward_norm: Layer
    up_proj: Layer  # with the activation
    down_proj: Layer

    @classmethod
    def of(cls, block: Block, half: bool) -> "_Block":
        attention, feed_forward = block.attention, block.feed_forward
        return cls(
            attention_norm=block.attention_norm,
            qkv=_layer(attention.qkv, half),
            out_proj=_layer(attention.out_proj, half),
            feed_forward_norm=block.feed_forward_norm,
            up_proj=_layer(feed_forward.up_proj, half, feed_forward.activation),
            down_proj=_layer(feed_forward.down_proj, half),
        )


def _layer(layer: nn.Module, half: bool, activation: Layer | None = None) -> Layer:
    """What is no plain layer, one with an adapter, computes as it does in training."""
    if half and isinstance(layer, nn.Linear):
        bias = None if layer.bias is None else layer.bias.to(torch.bfloat16)
        return _product(layer.weight.to(torch.bfloat16), bias, activation)
    return _then(layer, activation)


def _product(weight: Tensor, bias: Tensor | None, activation: Layer | None = None) -> Layer:
    if weight.device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return _Packed(weight, bias, ("gelu", activation.approximate) if activation else ("none", ""))
    return _then(lambda x: linear(x.to(torch.bfloat16), weight, bias), activation)


def _then(layer: Layer, activation: Layer | None) -> Layer:
    return (lambda x: activation(layer(x))) if activation else layer


class _Packed:
    """x W^T + b in bf16, W laid out for oneDNN: the product that torch.compile calls for weights that do not change."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: tuple[str, str]) -> None:
        """`activation`: oneDNN's name of what follows the product, and of the algorithm."""
        self.weight, self.bias, self.activation = torch.ops.mkldnn._reorder_linear_weight(weight), bias, activation

    def __call__(self, x: Tensor) -> Tensor:
        name, algorithm = self.activation
        return torch.ops.mkldnn._linear_pointwise(x.to(torch.bfloat16), self.weight, self.bias, name, [], algorithm)


class _HalfHead:
    """Logits in float32 of a bf16 product.

    Half a step of bf16 is 0.25 at a logit of -100, where GPT-2's lie: the likeliest tokens would be as likely as each other. What all
    logits have in common, the product with the mean of the head's rows, is therefore left out of it and added afterwards.
    """

    def __init__(self, head: nn.Linear) -> None:
        self._mean = head.weight.float().mean(0)
        self._product = _product((head.weight - self._mean).to(torch.bfloat16), None)

    def __call__(self, x: Tensor) -> Tensor:
        return self._product(x).float().add_((x.float() @ self._mean)[:, None])
