"""Which of the processes that torchrun started this one is. A process that it did not start is the first of one."""

import os


def is_torchrun() -> bool:
    """Whether torchrun started this process, as one of several that work on the same training."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    return int(os.environ["RANK"]) if is_torchrun() else 0


def local_rank() -> int:
    """This process' number on its machine: which GPU is its own."""
    return int(os.environ["LOCAL_RANK"]) if is_torchrun() else 0


def world_size() -> int:
    return int(os.environ["WORLD_SIZE"]) if is_torchrun() else 1


def is_single_node() -> bool:
    return not is_torchrun() or os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]


def is_main_process() -> bool:
    """Whether this is the process that writes files, tracks and prints; the others only help it to train."""
    return rank() == 0
