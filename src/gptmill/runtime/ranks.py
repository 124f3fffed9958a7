"""Which of the processes that torchrun started this one is. A process that it did not start is the first of one."""

import os


def started() -> bool:
    """Whether torchrun started this process, as one of several that work on the same training."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    return int(os.environ["RANK"]) if started() else 0


def local_rank() -> int:
    """This process' number on its machine: which GPU is its own."""
    return int(os.environ["LOCAL_RANK"]) if started() else 0


def size() -> int:
    return int(os.environ["WORLD_SIZE"]) if started() else 1


def on_one_machine() -> bool:
    return not started() or os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]


def leads() -> bool:
    """Whether this is the process that writes files, tracks and prints; the others only help it to train."""
    return rank() == 0
