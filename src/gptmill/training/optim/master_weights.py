"""Mixed precision: float32 master weights learn, the model computes with bf16 copies (Micikevicius et al. 2018, 3.1).

A step's change is often too small for bf16. With bf16 copies no step has to cast weights, and gradients and activations
take half the memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MasterWeights:
    """A model's float32 `masters`, which learn and are saved. With `bf16`, the model has copies of them."""

    def __init__(self, model: nn.Module, *, bf16: bool) -> None:
        self.parameters = list(model.parameters())
        self.masters = [parameter.data for parameter in self.parameters]
        self.bf16 = bf16
        self.to_bf16()

    def to_bf16(self) -> None:
        """Give the model bf16 copies of the masters."""
        if self.bf16:
            for parameter, master in zip(self.parameters, self.masters, strict=True):
                parameter.data = master.to(torch.bfloat16)

    def to_float32(self) -> None:
        """Give the model the masters."""
        if self.bf16:
            for parameter, master in zip(self.parameters, self.masters, strict=True):
                parameter.data = master

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """Inside, the model has the masters, as for evaluations: they are what is saved."""
        copies = [parameter.data for parameter in self.parameters]
        self.to_float32()
        try:
            yield
        finally:  # the copies are still valid: nothing learns inside
            for parameter, copy in zip(self.parameters, copies, strict=True):
                parameter.data = copy

    def learning(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Each parameter that learns with its master, which is the parameter itself in float32."""
        masters = self.masters if self.bf16 else self.parameters
        return [pair for pair in zip(self.parameters, masters, strict=True) if pair[0].requires_grad]
