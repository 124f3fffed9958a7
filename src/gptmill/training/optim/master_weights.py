"""Which weights a model computes with while it learns: bf16 copies of float32 ones, or the float32 ones themselves.

A step changes a weight by less than bf16 can tell, so what learns stays float32 (Micikevicius et al. 2018, section 3.1); but products of
bf16 weights need no copies of them in each step, and the gradients and all that flows between the layers take half the memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MasterWeights:
    """A model's weights twice: `masters`, float32, learn and are saved; the model holds copies in bf16. Once, when not `half`."""

    def __init__(self, model: nn.Module, *, half: bool) -> None:
        self.parameters = list(model.parameters())
        self.masters = [parameter.data for parameter in self.parameters]
        self.half = half
        self.to_bf16()

    def to_bf16(self) -> None:
        """Give the model copies of the masters as they are now."""
        if self.half:
            for parameter, master in zip(self.parameters, self.masters, strict=True):
                parameter.data = master.to(torch.bfloat16)

    def to_float32(self) -> None:
        """Give the model the masters themselves."""
        if self.half:
            for parameter, master in zip(self.parameters, self.masters, strict=True):
                parameter.data = master

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """Within, the model has the masters: for evaluations and whatever else shall see what is saved."""
        copies = [parameter.data for parameter in self.parameters]
        self.to_float32()
        try:
            yield
        finally:  # what was copied is the same still: nothing learns within
            for parameter, copy in zip(self.parameters, copies, strict=True):
                parameter.data = copy

    def learning(self) -> list[tuple[nn.Parameter, Tensor]]:
        """Each parameter that learns, with its master, which is the parameter itself when there is one set of weights."""
        masters = self.masters if self.half else self.parameters
        return [
            (parameter, master)
            for parameter, master in zip(self.parameters, masters, strict=True)
            if parameter.requires_grad
        ]
