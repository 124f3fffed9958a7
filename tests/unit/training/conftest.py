"""What the tests of training share: small tasks for each objective, and checkpoints in a folder of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gptmill.training.checkpoints import DiskCheckpoints
from tasks import Task, make_task


@pytest.fixture
def task() -> Callable[..., Task]:
    """`task("next_token" | "instruction" | "classification" | "lora", dropout=0.2)`"""
    return make_task


@pytest.fixture
def make_checkpoints(tmp_path: Path) -> Callable[..., DiskCheckpoints]:
    """Those of one training, as each new process sees them: `make_checkpoints(minutes=0)`; then one is due after every step."""
    return lambda minutes=0: DiskCheckpoints(tmp_path / "own" / "checkpoints" / "stage" / "cache-key", minutes)
