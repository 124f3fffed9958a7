"""Causal multi-head self-attention. `examples/book/attention.py` builds it up step by step.

Shapes: B rows, T tokens, C channels (d_model), H heads, D channels per head (C = H * D).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from gptmill.model.ops import fused

SHORT_ROW = 512  # tokens: up to here a row's (T, T) attention weights take little memory


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2): one product for q, k and v, then a fused kernel."""

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, qkv_bias: bool = True) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=qkv_bias)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        B, T, C = x.shape
        qkv = self.qkv(x)
        if self._short_in_bf16(qkv):
            return self.out_proj(fused.CausalAttention.apply(qkv, self.n_heads))
        q, k, v = qkv.view(B, T, 3, self.n_heads, C // self.n_heads).permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
        heads = scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(heads.transpose(1, 2).reshape(B, T, C))

    def forward_last_token(self, x: Tensor, last: Tensor) -> Tensor:
        """(B, T, C) and (B,) positions -> (B, 1, C): `forward` at these positions alone."""
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.n_heads, C // self.n_heads).permute(2, 0, 3, 1, 4)
        q = q[torch.arange(B, device=x.device), :, last].unsqueeze(2)  # (B, H, 1, D)
        mask = (torch.arange(T, device=x.device) <= last[:, None])[:, None, None]  # (B, 1, 1, T)
        heads = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(heads.transpose(1, 2).reshape(B, 1, C))

    def _short_in_bf16(self, qkv: Tensor) -> bool:
        """Whether torch's kernel is slow here and saves little memory."""
        dropout = self.dropout if self.training else 0.0
        return (
            qkv.device.type == "cpu"
            and qkv.dtype == torch.bfloat16
            and not dropout
            and qkv.shape[1] <= SHORT_ROW
            and qkv.requires_grad
        )
