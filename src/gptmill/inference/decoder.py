"""Incremental decoding with a KV cache: a token passes the model once, later tokens attend to its keys and values.

`Decoder.prefill` reads whole prompts in one batch and returns the logits after each; `DecodeState.decode_step` adds a
token per row. Prompts are padded on the left. Padding is masked, and positions count from a row's own first token, so
the logits of a row do not depend on its batch.

With `bf16`, the weights are copied once to bf16. On CPUs they are also packed for oneDNN, which saves most of the time:
torch would pack them for each token, and add bias and GELU in separate steps. Sums stay in float32: the residual
stream, the norms, and attention, whose CPU kernel is faster in float32.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from gptmill.inference.kv_cache import KVCache, attend_to_cache
from gptmill.model.gpt import GPT, Block

Layer = Callable[[Tensor], Tensor]


class Decoder:
    """The model's own weights as they are now, or bf16 copies of them as they were when this was made."""

    @torch.inference_mode()
    def __init__(self, model: GPT, *, bf16: bool = False) -> None:
        self.model, self.config = model, model.config
        self._blocks = [_Block.of(block, bf16) for block in model.backbone.blocks]
        self._head = _Bf16Head(model.head) if bf16 else model.head

    def prefill(self, rows: Sequence[Sequence[int]], max_new_tokens: int) -> tuple["DecodeState", Tensor]:
        """Read rows of one token or more. Returns the state, with room for new tokens, and logits (B, V) after each.

        Raises `ValueError` when a row is longer than the context.
        """
        state = DecodeState(self, rows, max_new_tokens)
        return state, state.prefill(rows)

    def forward(self, tokens: Tensor, positions: Tensor, cache: KVCache, start: int, mask: Tensor | None) -> Tensor:
        """(B, T) tokens after `start` cached ones -> logits (B, V) after the last. Writes into the cache.

        T is 1, or `start` is 0. `mask`: (B, 1, T, start + T), added to the scores; None: no token is hidden.
        """
        backbone, (B, T), H = self.model.backbone, tokens.shape, self.config.n_heads
        x = backbone.token_embedding(tokens) + backbone.position_embedding(positions)
        C, end = x.shape[2], start + T
        layers = zip(self._blocks, cache.keys[..., :end].unbind(0), cache.values[..., :end, :].unbind(0), strict=True)
        for i, (block, keys, values) in enumerate(layers):
            qkv = block.qkv(block.attention_norm(x)).view(B, T, 3, H, C // H)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
            keys[..., start:], values[..., start:, :] = k.mT, v
            if i == len(self._blocks) - 1 and T > 1:  # the last block's output is needed for the last token only
                q, x, mask = q[:, :, -1:], x[:, -1:], None if mask is None else mask[:, :, -1:]
            q = q.to(keys.dtype)
            if T > 1:
                causal = mask is None and q.shape[2] > 1
                heads = scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), attn_mask=mask, is_causal=causal)
            else:
                heads = attend_to_cache(q, keys, values, mask)
            x = x + block.out_proj(heads.transpose(1, 2).reshape(B, -1, C).to(x.dtype))
            x = x + block.down_proj(block.up_proj(block.feed_forward_norm(x)))
        return self._head(backbone.final_norm(x[:, -1]))


class DecodeState:
    """A batch of rows under way: their KV cache, their padding, and how many tokens were read."""

    def __init__(self, decoder: Decoder, rows: Sequence[Sequence[int]], max_new_tokens: int) -> None:
        config, weight = decoder.config, decoder.model.backbone.token_embedding.weight
        width, shortest = max(map(len, rows)), min(map(len, rows))
        if width > config.context_length:
            raise ValueError(f"{width} tokens do not fit into a context of {config.context_length}")
        capacity = width + min(max_new_tokens, config.context_length - shortest)
        self._decoder, self._length = decoder, 0
        self._cache = KVCache.allocate(config, len(rows), capacity, weight)
        self._padding = torch.tensor([width - len(row) for row in rows], device=weight.device)  # (B,) tokens
        self._mask = self._padding_mask()

    def prefill(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, V) after each whole row."""
        width, device = max(map(len, rows)), self._padding.device
        tokens = torch.tensor([[0] * (width - len(row)) + [*row] for row in rows], device=device)
        positions = (torch.arange(width, device=device) - self._padding[:, None]).clamp(min=0)
        mask = None
        if self._mask is not None:
            causal = torch.full((width, width), -torch.inf, dtype=self._mask.dtype, device=device).triu(1)
            # A padding token attends to itself: a softmax over nothing is NaN, which would spread.
            itself = torch.eye(width, dtype=torch.bool, device=device)
            mask = (self._mask[..., :width] + causal).masked_fill(itself, 0)
        return self._forward(tokens, positions, mask)

    def decode_step(self, tokens: Sequence[int]) -> Tensor:
        """Read one more token per row; returns the logits (B, V) after it."""
        positions = (self._length - self._padding)[:, None]
        mask = None if self._mask is None else self._mask[..., : self._length + 1]
        return self._forward(torch.tensor(tokens, device=self._padding.device)[:, None], positions, mask)

    def select_rows(self, rows: Sequence[int]) -> None:
        """Drop every row but these."""
        index = torch.tensor(rows, device=self._padding.device)
        self._cache, self._padding = self._cache.select_rows(index), self._padding[index]
        self._mask = self._padding_mask()

    def _forward(self, tokens: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        logits = self._decoder.forward(tokens, positions, self._cache, self._length, mask)
        self._length += tokens.shape[1]
        return logits

    def _padding_mask(self) -> Tensor | None:
        """(B, 1, 1, capacity), minus infinity for padding; None when no row has any."""
        if not self._padding.any():
            return None
        values = self._cache.values
        padded = torch.arange(values.shape[3], device=values.device) < self._padding[:, None]
        return torch.zeros(padded.shape, dtype=values.dtype, device=values.device).masked_fill(padded, -torch.inf)[
            :, None, None
        ]


class _Block(NamedTuple):
    """The layers of one block, for inference."""

    attention_norm: Layer
    qkv: Layer
    out_proj: Layer
    feed_forward_norm: Layer
    up_proj: Layer  # with the activation
    down_proj: Layer

    @classmethod
    def of(cls, block: Block, bf16: bool) -> "_Block":
        attention, feed_forward = block.attention, block.feed_forward
        return cls(
            attention_norm=block.attention_norm,
            qkv=_layer(attention.qkv, bf16),
            out_proj=_layer(attention.out_proj, bf16),
            feed_forward_norm=block.feed_forward_norm,
            up_proj=_layer(feed_forward.up_proj, bf16, feed_forward.activation),
            down_proj=_layer(feed_forward.down_proj, bf16),
        )


def _layer(layer: nn.Module, bf16: bool, activation: Layer | None = None) -> Layer:
    """A layer other than a plain `Linear`, such as one with an adapter, computes as in training."""
    if bf16 and isinstance(layer, nn.Linear):
        bias = None if layer.bias is None else layer.bias.to(torch.bfloat16)
        return _bf16_linear(layer.weight.to(torch.bfloat16), bias, activation)
    return _then(layer, activation)


def _bf16_linear(weight: Tensor, bias: Tensor | None, activation: Layer | None = None) -> Layer:
    if weight.device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return _PackedLinear(weight, bias, ("gelu", activation.approximate) if activation else ("none", ""))
    return _then(lambda x: linear(x.to(torch.bfloat16), weight, bias), activation)


def _then(layer: Layer, activation: Layer | None) -> Layer:
    return (lambda x: activation(layer(x))) if activation else layer


class _PackedLinear:
    """x W^T + b in bf16, W packed for oneDNN: the operator that torch.compile calls for constant weights."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: tuple[str, str]) -> None:
        """`activation`: oneDNN's name of what follows the product, and of the algorithm."""
        self.weight, self.bias, self.activation = torch.ops.mkldnn._reorder_linear_weight(weight), bias, activation

    def __call__(self, x: Tensor) -> Tensor:
        name, algorithm = self.activation
        return torch.ops.mkldnn._linear_pointwise(x.to(torch.bfloat16), self.weight, self.bias, name, [], algorithm)


class _Bf16Head:
    """Logits in float32 of a bf16 product.

    Half a step of bf16 is 0.25 at a logit of -100, where GPT-2's lie: the top tokens would be equal. So the part that
    all logits share, the product with the mean of the head's rows, is added in float32.
    """

    def __init__(self, head: nn.Linear) -> None:
        self._mean = head.weight.float().mean(0)
        self._product = _bf16_linear((head.weight - self._mean).to(torch.bfloat16), None)

    def __call__(self, x: Tensor) -> Tensor:
        return self._product(x).float().add_((x.float() @ self._mean)[:, None])
