"""Data-parallel training, as in DDP (Li et al. 2020): each process has the whole model and a shard of every batch.

Gradients are all-reduced, and all processes take the same step. The batch's loss is divided by its number of targets
in all processes, so the curve does not depend on the world size, but for the last digits of sums. The all-reduce
follows the backward pass: overlapping would save time on GPUs, but make micro batches, LoRA and tied weights special.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from gptmill.core.errors import GptmillError
from gptmill.runtime import torchrun

BUCKET = 1 << 23  # gradients per all-reduce, or one larger weight: few messages, little memory
TIMEOUT = timedelta(days=7)  # others wait while rank 0 evaluates and writes; a dead peer is noticed without it

T = TypeVar("T")


class PeerLost(GptmillError):
    """A peer process died; its own error is the cause."""


class Distributed:
    """Collective operations. This class is for a single process, where they do nothing."""

    rank, world_size = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes, tracks and prints."""
        return self.rank == 0

    def shard(self, items: Iterable[T]) -> Iterator[T]:
        """Every n-th item, from the rank on. Rows that are sorted by length make shards of similar length."""
        return islice(items, self.rank, None, self.world_size)

    def all_reduce_sum(self, *values: float) -> Sequence[float]:
        """The sum of each value over all processes."""
        return values

    def all_reduce_max(self, value: int) -> int:
        """The highest value of all processes."""
        return value

    def all_reduce_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        """Sum each weight's gradients over all processes; no gradient counts as zeros."""

    def broadcast_parameters(self, model: nn.Module) -> None:
        """Copy rank 0's weights to all processes."""


SINGLE_PROCESS = Distributed()


class TorchDistributed(Distributed):
    """One of several processes, over `torch.distributed`. Raises `PeerLost` when another one has died."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.world_size = torchrun.rank(), torchrun.world_size()
        self._device = device

    def all_reduce_sum(self, *values: float) -> Sequence[float]:
        sums = torch.tensor(values, dtype=torch.float64, device=self._device)  # exact for counts up to 2**53
        _call(lambda: distributed.all_reduce(sums))
        return sums.tolist()

    def all_reduce_max(self, value: int) -> int:
        highest = torch.tensor(value, dtype=torch.int64, device=self._device)
        _call(lambda: distributed.all_reduce(highest, distributed.ReduceOp.MAX))
        return int(highest)

    def all_reduce_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        for bucket in _buckets(weights):
            own = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in bucket]
            sums = torch.cat([gradient.flatten().float() for gradient in own])  # bf16 sums would lose digits
            _call(lambda sums=sums: distributed.all_reduce(sums))
            for weight, gradient in zip(bucket, sums.split([weight.numel() for weight in bucket]), strict=True):
                weight.grad = gradient.view_as(weight).to(weight.dtype)

    def broadcast_parameters(self, model: nn.Module) -> None:
        for weight in model.parameters():
            _call(lambda weight=weight: distributed.broadcast(weight.detach(), 0))


@contextmanager
def process_group(device: torch.device) -> Iterator[Distributed]:
    """The process group of torchrun's processes, or a single process: gloo on CPUs, nccl on GPUs.

    A process group that exists already is used and left open.
    """
    if torchrun.world_size() == 1 or distributed.is_initialized():
        yield SINGLE_PROCESS if torchrun.world_size() == 1 else TorchDistributed(device)
        return
    if device.type not in ("cpu", "cuda"):
        raise GptmillError(
            f"compute.launcher needs compute.device cpu or cuda: processes can't share the device {device.type}"
        )
    loopback = {name for _, name in socket.if_nameindex()} & {"lo", "lo0"}
    if torchrun.is_single_node() and loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback.pop())  # traffic stays on this machine
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    yield TorchDistributed(device)
    distributed.destroy_process_group()  # not after an error: it would wait for the others


def _call(call: Callable[[], object]) -> None:
    try:
        call()
    except RuntimeError as error:
        raise PeerLost(f"another process of this training has ended: {error}") from error


def _buckets(weights: Sequence[nn.Parameter]) -> Iterator[list[Tensor]]:
    """The weights in their order, in groups of at most `BUCKET` numbers."""
    bucket: list[Tensor] = []
    for weight in weights:
        if bucket and sum(other.numel() for other in bucket) + weight.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(weight)
    yield bucket
