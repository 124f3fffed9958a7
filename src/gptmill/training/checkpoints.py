"""Checkpoints on disk: a training that was killed resumes from the last one and ends with the same bytes.

`.gptmill/checkpoints/<stage>/<cache key>/step-00001234/` has tensors in `state.safetensors` and numbers in `state.json`
(JSON keeps floats exactly). It is not a DVC output: DVC deletes those before a stage runs. Checkpoints of another cache
key are never read. The key leaves out the kind of machine, so that a training may move: the last digits of sums may
then differ, which the trainer reports.
"""

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.tracked_run import Sections
from gptmill.model.tensor_files import Safetensors, TensorSpec, write_safetensors
from gptmill.runtime import cache_key

TENSORS, NUMBERS = "state.safetensors", "state.json"
KEEP = 2  # the last one, and the one before if the last is damaged
MAX_TIME_SHARE = 0.02  # of the training, for writing checkpoints

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after `step` steps."""

    step: int
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


class Checkpoints:
    """Storage of a training's checkpoints. This class saves nothing, for short trainings."""

    def latest(self) -> Checkpoint | None:
        """The last valid checkpoint."""

    def due(self) -> bool:
        """Whether to save one now. Depends on the clock, so no result may depend on it."""
        return False

    def save(self, step: int, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None: ...

    def clear(self) -> None:
        """Remove all, once the stage has written its outputs."""


class DiskCheckpoints(Checkpoints):
    """Checkpoints in a folder of their stage and cache key."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self._seconds = folder, minutes * 60
        self._saved_at, self._cost, self._step = time.monotonic(), 0.0, None

    def latest(self) -> Checkpoint | None:
        for path in reversed(self._paths()):
            try:
                checkpoint = _read(path)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, GptmillError) as error:
                log.warning("ignoring the damaged checkpoint %s: %s", path, error)
            else:
                self._step = checkpoint.step
                return checkpoint
        return None

    def due(self) -> bool:
        if not self._seconds:
            return True
        return time.monotonic() - self._saved_at >= max(self._seconds, self._cost / MAX_TIME_SHARE)

    def save(self, step: int, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Write a checkpoint atomically, and keep the last two. Raises `GptmillError` when the disk is full."""
        started = time.monotonic()
        path = self.folder / f"step-{step:08d}"
        try:
            with files.atomic(path) as tmp:
                tmp.mkdir()
                specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
                write_safetensors(tmp / TENSORS, specs, tensors.__getitem__)
                (tmp / NUMBERS).write_text(json.dumps({"step": step, **numbers}, indent=1) + "\n", encoding="utf-8")
                for name in (TENSORS, NUMBERS):  # without fsync, a renamed file may be all zeros after a power cut
                    _fsync(tmp / name)
            _fsync(self.folder)
        except OSError as error:
            size = sum(tensor.nbytes for tensor in tensors.values()) / 1e6
            resume = "starts again" if self._step is None else f"resumes from step {self._step}"
            raise GptmillError(
                f"the checkpoint at step {step} ({size:,.1f} MB) could not be written to {self.folder}: "
                f"{error.strerror or error}. Make room there and run it again: it {resume}"
            ) from error
        self._step = step
        for old in self._paths()[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def clear(self) -> None:
        files.remove_folder(self.folder.parent, above=2)  # with outdated ones of other keys

    def _paths(self) -> list[Path]:
        """Checkpoints in order of their steps."""
        paths = [path for path in self.folder.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
        return sorted(paths, key=lambda path: int(path.name.removeprefix("step-")))


def of_stage(stage: str, sections: Sections, inputs: Iterable[Path], minutes: float) -> DiskCheckpoints:
    """The checkpoints of a stage with these parameters and input files or folders, saved every so many minutes.

    Partly written ones of killed processes are removed.
    """
    folder = paths.CHECKPOINTS / stage / cache_key.of_stage(stage, sections, inputs)
    for partial in folder.glob(".*.part"):
        shutil.rmtree(partial, ignore_errors=True)
    return DiskCheckpoints(folder, minutes)


def _read(path: Path) -> Checkpoint:
    numbers = files.read_json(path / NUMBERS)
    tensors = Safetensors(path / TENSORS)
    return Checkpoint(numbers.pop("step"), {name: tensors.read(name) for name in tensors.specs}, numbers)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
