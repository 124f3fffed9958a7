"""Torch's layers written out step by step. The model uses torch's; tests compare the two."""

import math

import torch
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Each token's channels get mean 0 and variance 1, then a learnt scale and shift (Ba et al. 2016)."""

    def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon  # no division by zero for a token whose channels are equal
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)  # over C, not C - 1: GPT-2 was trained so
        return centred / (variance + self.epsilon).sqrt() * self.weight + self.bias


class GELU(nn.Module):
    """x times the normal distribution's probability below x, in the tanh form (Hendrycks & Gimpel 2016, section 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, element by element."""
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
