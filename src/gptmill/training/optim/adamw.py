"""AdamW (Loshchilov & Hutter 2019) in one pass over memory, in chunks that fit the CPU's cache.

The arithmetic is torch's fused kernel. Per chunk, a bf16 gradient is cast to float32 and clipped, and the weight's bf16
copy is updated. For 124M weights this takes a third of the time of separate passes.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

_CHUNK = 1 << 20  # weights


class AdamW:
    """Optimizes pairs of a parameter and its float32 master weight, which in float32 is the parameter's own data."""

    def __init__(self, pairs: Sequence[tuple[nn.Parameter, Tensor]], decay: float, betas: tuple[float, float]) -> None:
        self._decay, (self._beta1, self._beta2) = decay, betas
        self._parameters = [parameter for parameter, _ in pairs]
        self._masters = [master for _, master in pairs]
        self._first = [torch.zeros_like(master) for master in self._masters]  # means of gradients
        self._second = [torch.zeros_like(master) for master in self._masters]  # means of their squares
        self._steps = torch.zeros((), device=self._masters[0].device)
        self._chunks = list(_chunks([master.numel() for master in self._masters]))

    @torch.no_grad()
    def step(self, learning_rate: float, divisor: Tensor) -> None:
        """One step with gradients divided by `divisor`, a scalar."""
        wide = torch.empty(_CHUNK, device=self._steps.device)
        for chunk in self._chunks:
            masters, first, second = (
                [tensors[i].view(-1)[part] for i, part in chunk]
                for tensors in (self._masters, self._first, self._second)
            )
            gradients = [self._parameters[i].grad.view(-1)[part] for i, part in chunk]
            if bf16 := gradients[0].dtype != torch.float32:
                widened = list(wide[: sum(map(len, gradients))].split([len(gradient) for gradient in gradients]))
                torch._foreach_copy_(widened, gradients)
                gradients = widened
            adamw(
                masters,
                gradients,
                first,
                second,
                [],
                [self._steps.clone() for _ in chunk],  # each call increments its own
                fused=True,
                grad_scale=divisor,
                amsgrad=False,
                beta1=self._beta1,
                beta2=self._beta2,
                lr=learning_rate,
                weight_decay=self._decay,
                eps=1e-8,
                maximize=False,
            )
            if bf16:
                torch._foreach_copy_([self._parameters[i].data.view(-1)[part] for i, part in chunk], masters)
        self._steps += 1

    def state(self, names: Mapping[int, str]) -> dict[str, Tensor]:
        """Its state as `<name>.<kind>`; `names`: of the parameters, by their id. Not copies."""
        state = {f"{names[id(self._parameters[0])]}.steps": self._steps}
        for i, parameter in enumerate(self._parameters):
            name = names[id(parameter)]
            state |= {f"{name}.first": self._first[i], f"{name}.second": self._second[i]}
        return state


def _chunks(sizes: Sequence[int]) -> Iterator[list[tuple[int, slice]]]:
    """Lists of (index of a tensor, slice of it) with `_CHUNK` weights each, for tensors of these sizes."""
    chunk: list[tuple[int, slice]] = []
    left = _CHUNK
    for i, size in enumerate(sizes):
        start = 0
        while start < size:
            end = min(size, start + left)
            chunk.append((i, slice(start, end)))
            left -= end - start
            start = end
            if not left:
                yield chunk
                chunk, left = [], _CHUNK
    if chunk:
        yield chunk
