"""The ladder of attention (chapter 3 of the book): each class adds one idea to the one before.

`gptmill.model.attention.Attention` is the next rung, and tested against these: same weights, same outputs, same
gradients. Shapes: B rows, T tokens, C channels (d_model), H heads, D channels per head (C = H * D).
"""

import torch
from torch import Tensor, nn


class SimilarityAttention(nn.Module):
    """Rung 1, nothing to learn: each token becomes the mean of all tokens, weighted by how much they are like it."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        scores = x @ x.mT  # (B, T, T): dot products, row by row what one token thinks of each
        return scores.softmax(dim=-1) @ x


class SelfAttention(nn.Module):
    """Rung 2, weights: what a token looks for (query), is found by (key) and gives (value) are learnt, and differ.

    Scores are divided by the root of their width, which keeps the softmax soft (Vaswani et al. 2017, section 3.2.1).
    """

    def __init__(self, d_in: int, d_out: int, qkv_bias: bool = False) -> None:
        super().__init__()
        self.query = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.key = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.value = nn.Linear(d_in, d_out, bias=qkv_bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d_in) -> (B, T, d_out)."""
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.mT / k.shape[-1] ** 0.5  # (B, T, T)
        return scores.softmax(dim=-1) @ v


class CausalAttention(SelfAttention):
    """Rung 3, time: a token sees itself and what came before. In training, dropout hides some of that too."""

    def __init__(self, d_in: int, d_out: int, dropout: float = 0.0, qkv_bias: bool = False) -> None:
        super().__init__(d_in, d_out, qkv_bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d_in) -> (B, T, d_out)."""
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.mT / k.shape[-1] ** 0.5
        # What is hidden before the softmax gets no weight, and the rest still sums to one.
        weights = scores.masked_fill(future(x.shape[1], x.device), -torch.inf).softmax(dim=-1)
        return self.dropout(weights) @ v


class StackedHeads(nn.Module):
    """Rung 4, several views: H small attentions in parallel, each with its own weights, their outputs concatenated."""

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, qkv_bias: bool = False) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            CausalAttention(d_model, d_model // n_heads, dropout, qkv_bias) for _ in range(n_heads)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        return torch.cat([head(x) for head in self.heads], dim=-1)


class MultiHeadAttention(nn.Module):
    """Rung 5, one product in place of H: wide queries, keys, values are split into heads; a projection mixes them."""

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, qkv_bias: bool = False) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model, bias=qkv_bias)
        self.key = nn.Linear(d_model, d_model, bias=qkv_bias)
        self.value = nn.Linear(d_model, d_model, bias=qkv_bias)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        B, T, C = x.shape
        split = (B, T, self.n_heads, C // self.n_heads)
        layers = (self.query, self.key, self.value)
        q, k, v = (layer(x).view(split).transpose(1, 2) for layer in layers)  # each (B, H, T, D)
        scores = q @ k.mT / k.shape[-1] ** 0.5  # (B, H, T, T)
        weights = self.dropout(scores.masked_fill(future(T, x.device), -torch.inf).softmax(dim=-1))
        heads = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return self.out_proj(heads)


def future(T: int, device: torch.device) -> Tensor:
    """(T, T), True where a column comes after its row."""
    return torch.ones(T, T, dtype=torch.bool, device=device).triu(diagonal=1)
