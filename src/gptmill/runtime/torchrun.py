"""Rank, local rank and world size under torchrun; without torchrun, rank 0 of 1. Does not import torch."""

import os


def is_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    return int(os.environ["RANK"]) if is_torchrun() else 0


def local_rank() -> int:
    """Rank on this machine, which is the index of the process' GPU."""
    return int(os.environ["LOCAL_RANK"]) if is_torchrun() else 0


def world_size() -> int:
    return int(os.environ["WORLD_SIZE"]) if is_torchrun() else 1


def is_single_node() -> bool:
    return not is_torchrun() or os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]


def is_main_process() -> bool:
    """Whether this process writes files, tracks and prints. The others only train."""
    return rank() == 0
