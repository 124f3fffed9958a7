"""Checkpoints: where a training stands, on disk, so that one that was killed goes on from there and ends with the same bytes.

`.gptmill/checkpoints/<stage>/<fingerprint>/step-00001234/` holds every tensor whole in `state.safetensors` and every number in `state.json`
(JSON keeps floats exactly). It is no output of DVC's, which deletes those before a stage runs. The fingerprint is of all that decides the
result: parameters, input files, code, torch's version. What was made with others lies in another folder, and is never read. What the
machine is plays no part in it, so that a training may move: its sums may then differ in their last digits, which is said.
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
from typing import Any, Protocol

from torch import Tensor

from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.run import Sections
from gptmill.model.tensor_files import Safetensors, TensorSpec, write_safetensors
from gptmill.runtime import cache_key

TENSORS, NUMBERS = "state.safetensors", "state.json"
KEPT = 2  # the last one, and the one before in case that the last is damaged
MOST_OF_THE_TIME = 0.02  # share of it that may go into writing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood after `step` steps."""

    step: int
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


class Checkpoints(Protocol):
    """Where a training leaves its checkpoints, and when."""

    def latest(self) -> Checkpoint | None:
        """The last one that is in order."""

    def due(self) -> bool:
        """Whether it is time for the next one. Depends on the clock: nothing of a result may depend on it."""

    def save(self, step: int, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None: ...

    def clear(self) -> None:
        """Remove all of them: the stage has written its outputs."""


class NoCheckpoints:
    """For a training that is over in a moment."""

    def latest(self) -> None:
        return None

    def due(self) -> bool:
        return False

    def save(self, step: int, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None: ...

    def clear(self) -> None: ...


class DiskCheckpoints:
    """Those of one stage, in a folder that belongs to the stage and the fingerprint."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self._seconds = folder, minutes * 60
        self._saved_at, self._cost, self._step = time.monotonic(), 0.0, None

    def latest(self) -> Checkpoint | None:
        for path in reversed(self._found()):
            try:
                checkpoint = _read(path)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, GptmillError) as error:
                log.warning("the checkpoint %s is damaged and left out: %s", path, error)
            else:
                self._step = checkpoint.step
                return checkpoint
        return None

    def due(self) -> bool:
        if not self._seconds:
            return True
        return time.monotonic() - self._saved_at >= max(self._seconds, self._cost / MOST_OF_THE_TIME)

    def save(self, step: int, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Write one, whole or not at all, then remove those before the last two. Raises `GptmillError` when there is no room."""
        started = time.monotonic()
        path = self.folder / f"step-{step:08d}"
        try:
            with files.atomic(path) as beside:
                beside.mkdir()
                specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
                write_safetensors(beside / TENSORS, specs, tensors.__getitem__)
                (beside / NUMBERS).write_text(json.dumps({"step": step, **numbers}, indent=1) + "\n", encoding="utf-8")
                for name in (TENSORS, NUMBERS):
                    _to_disk(
                        beside / name
                    )  # a file that was renamed but not written yet would be one of zeros after a power cut
            _to_disk(self.folder)
        except OSError as error:
            size = sum(tensor.nbytes for tensor in tensors.values()) / 1e6
            before = "starts again" if self._step is None else f"resumes from step {self._step}"
            raise GptmillError(
                f"the checkpoint at step {step} ({size:,.1f} MB) could not be written to {self.folder}: {error.strerror or error}. "
                f"Make room there and run it again: it {before}"
            ) from error
        self._step = step
        for old in self._found()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def clear(self) -> None:
        files.remove_folder(self.folder.parent, above=2)  # with those of other fingerprints: what they were for is past

    def _found(self) -> list[Path]:
        found = {
            int(match[1]): path
            for path in self.folder.glob("step-*")
            if (match := re.fullmatch(r"step-(\d+)", path.name))
        }
        return [found[step] for step in sorted(found)]


def of_stage(stage: str, sections: Sections, inputs: Iterable[Path], minutes: float) -> DiskCheckpoints:
    """The checkpoints of a stage with those parameters and input files (or folders of them), written every so many minutes.

    What a process that was killed while it wrote has left behind is removed.
    """
    folder = paths.CHECKPOINTS / stage / cache_key.of_stage(stage, sections, inputs)
    for half in folder.glob(".*.part"):
        shutil.rmtree(half, ignore_errors=True)
    return DiskCheckpoints(folder, minutes)


def _read(path: Path) -> Checkpoint:
    numbers = files.read_json(path / NUMBERS)
    found = Safetensors(path / TENSORS)
    return Checkpoint(numbers.pop("step"), {name: found.read(name) for name in found.specs}, numbers)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
