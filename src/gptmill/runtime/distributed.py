"""Several processes that train one model: each has the whole of it, and takes a share of every batch.

Data parallel, as in DDP (Li et al. 2020): each process computes the gradient of its rows, the gradients are added up, and all take the same
step. The sums are over targets, as with one process: the batch's loss is divided by the number of its targets in all processes, so the
curve does not depend on how many there are, but for the last digits of sums. Gradients are added up after the backward pass and not during
it: that costs GPUs some time, and makes parts of a batch, LoRA and tied weights no special cases.

A process alone is a `Distributed` of one, which has nobody to ask.
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

BUCKET = (
    1 << 23
)  # numbers that are added up at once, or a single larger weight: few messages, and little memory beside the gradients
LONGEST_WAIT = timedelta(
    days=7
)  # the first process may evaluate and write while the others wait; who has died is noticed by other means


Thing = TypeVar("Thing")


class PeerLost(GptmillError):
    """Another process of this training has ended. What it said is the reason, not this."""


class Distributed:
    """One process alone; and what several can do together."""

    rank, size = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes, tracks and prints."""
        return self.rank == 0

    def shard(self, things: Iterable[Thing]) -> Iterator[Thing]:
        """Every n-th of them, from the process' own number on. Rows of a batch that are sorted by length make shares of like length."""
        return islice(things, self.rank, None, self.size)

    def all_reduce_sum(self, *values: float) -> Sequence[float]:
        """The sums of each value over all processes, the same in all of them."""
        return values

    def all_reduce_max(self, value: int) -> int:
        """The highest value that any process has."""
        return value

    def all_reduce_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        """Give each weight the sum of its gradients in all processes; a process without one adds nothing."""

    def broadcast_parameters(self, model: nn.Module) -> None:
        """Give all processes the first one's weights."""


SINGLE_PROCESS = Distributed()


class TorchDistributed(Distributed):
    """One of several processes. Raises `PeerLost` when one of them is no longer there."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = torchrun.rank(), torchrun.world_size()
        self._device = device

    def all_reduce_sum(self, *values: float) -> Sequence[float]:
        together = torch.tensor(
            values, dtype=torch.float64, device=self._device
        )  # counts of targets are exact up to 2**53
        _ask(lambda: distributed.all_reduce(together))
        return together.tolist()

    def all_reduce_max(self, value: int) -> int:
        together = torch.tensor(value, dtype=torch.int64, device=self._device)
        _ask(lambda: distributed.all_reduce(together, distributed.ReduceOp.MAX))
        return int(together)

    def all_reduce_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        for bucket in _buckets(weights):
            own = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in bucket]
            together = torch.cat([gradient.flatten().float() for gradient in own])  # bf16 would lose what others add
            _ask(lambda together=together: distributed.all_reduce(together))
            for weight, gradient in zip(bucket, together.split([weight.numel() for weight in bucket]), strict=True):
                weight.grad = gradient.view_as(weight).to(weight.dtype)

    def broadcast_parameters(self, model: nn.Module) -> None:
        for weight in model.parameters():
            _ask(lambda weight=weight: distributed.broadcast(weight.detach(), 0))


@contextmanager
def process_group(device: torch.device) -> Iterator[Distributed]:
    """The processes that torchrun started, once all of them are here, or this one alone: gloo on CPUs, nccl on GPUs.

    A process group that is there already is used, and left as it is.
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
        os.environ.setdefault(
            "GLOO_SOCKET_IFNAME", loopback.pop()
        )  # what the processes tell each other stays on this machine
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    yield TorchDistributed(device)
    distributed.destroy_process_group()  # after an error the process ends anyway, and must not wait for others here


def _ask(call: Callable[[], object]) -> None:
    try:
        call()
    except RuntimeError as error:
        raise PeerLost(f"another process of this training has ended: {error}") from error


def _buckets(weights: Sequence[nn.Parameter]) -> Iterator[list[Tensor]]:
    """The weights in their order, in groups of no more than `BUCKET` numbers."""
    bucket: list[Tensor] = []
    for weight in weights:
        if bucket and sum(other.numel() for other in bucket) + weight.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(weight)
    yield bucket
