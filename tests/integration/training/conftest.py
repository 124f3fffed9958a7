"""Trainings as processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gptmill import stages


@pytest.fixture(scope="session")
def start_stage(without_mlflow) -> Callable[[Path, str], subprocess.Popen]:
    """`start_stage(folder, "pretrain")`: as DVC starts it, but for MLflow, which takes longer to load than the training takes."""
    path = os.pathsep.join([without_mlflow, str(Path(stages.__file__).parents[2])])

    def start(folder: Path, stage: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "gptmill", "stage", stage]
        environment = os.environ | {"PYTHONPATH": path}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=folder, env=environment, **pipes, text=True)

    return start
