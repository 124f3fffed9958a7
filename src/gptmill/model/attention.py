"""Attention. Shapes: B rows, T tokens, C channels (d_model), H heads, D channels a head (C = H * D)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class KVCache:
    """Keys and values of the tokens that one block has seen: (B, H, capacity, D) each, filled from the left."""

    def __init__(self, batch: int, n_heads: int, capacity: int, d_head: int, *, dtype: torch.dtype, device: torch.device) -> None:
        self.keys = torch.empty(batch, n_heads, capacity, d_head, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)
        self.length = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add (B, H, T, D) keys and values; returns all that are there, (B, H, length, D)."""
        end = self.length + keys.shape[2]
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep_rows(self, rows: Tensor) -> None:
        """Forget every row but these."""
        self.keys, self.values = self.keys[rows], self.values[rows]


class Attention(nn.Module):
    """Causal multi-head self-attention (Vaswani et al. 2017, section 3.2): one product for q, k, v; torch's fused kernel for the rest."""

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, qkv_bias: bool = True) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=qkv_bias)
        self.projection = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, mask: Tensor | None = None, cache: KVCache | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C). `mask`: (B, 1, T, keys), True where a token may look; without it, at itself and all before it."""
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.n_heads, C // self.n_heads).permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        if cache is not None:
            k, v = cache.append(k, v)
        heads = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None and T > 1, dropout_p=self.dropout if self.training else 0.0
        )
        return self.projection(heads.transpose(1, 2).reshape(B, T, C))
