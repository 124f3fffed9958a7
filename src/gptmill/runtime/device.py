"""Runtime of torch: device, precision, threads, determinism."""

import ctypes
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from gptmill.config.compute import ComputeParams
from gptmill.runtime import torchrun


@dataclass(frozen=True)
class Runtime:
    device: torch.device
    bf16: bool

    def autocast(self) -> AbstractContextManager:
        """Context with matrix products in bf16, if that is the precision; weights and sums stay float32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()

    def description(self) -> str:
        """Device, precision, threads and processes: all that the last digits of sums depend on."""
        parts = [self.device.type, "bf16" if self.bf16 else "float32"]
        if self.device.type == "cpu":
            parts += [f"{torch.get_num_threads()} threads", torch.backends.cpu.get_cpu_capability()]
        if torchrun.world_size() > 1:
            parts.append(f"{torchrun.world_size()} processes")
        return ", ".join(parts)


def setup(params: ComputeParams, seed: int) -> Runtime:
    """Set up torch for the process: device, precision, threads, determinism, seed."""
    if params.threads:
        torch.set_num_threads(params.threads)
    torch.manual_seed(seed)
    # As `use_deterministic_algorithms`, without loading torch's compiler, which takes a second.
    torch.set_deterministic_debug_mode("error")
    # It would fill each new tensor first; nothing here reads uninitialized memory.
    torch.utils.deterministic.fill_uninitialized_memory = False
    _keep_freed_memory()
    device = torch.device(_fastest_device() if params.device == "auto" else params.device)
    if device.type == "cuda":
        device = torch.device("cuda", torchrun.local_rank())
        torch.cuda.set_device(device)
    return Runtime(device, bf16=_fast_at_bf16(device) if params.precision == "auto" else params.precision == "bf16")


def _keep_freed_memory() -> None:
    """Let glibc reuse a step's freed memory in the next step, instead of returning pages to the kernel."""
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # from malloc.h
    for option, size in {M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 1 << 30, M_TOP_PAD: 64 << 20}.items():
        libc.mallopt(option, size)


def _fastest_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _fast_at_bf16(device: torch.device) -> bool:
    """CPUs with bf16 dot products, and GPUs from Ampere on."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return False


def settings(params: ComputeParams) -> dict[str, str | int]:
    """The section's settings for a lineage, a cache key and a run in MLflow, by their dotted keys."""
    return {f"compute.{key}": getattr(params, key) for key in ("device", "precision", "threads")}
