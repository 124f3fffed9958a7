"""How a stage logs: to a run that `gptmill stage` passes in, which goes to MLflow; without one, nothing is logged."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

Sections = Mapping[str, BaseModel | int | float | bool | str | list[str]]


class Run:
    """The null object: a run that logs nothing."""

    def metrics(self, values: Mapping[str, float]) -> None: ...

    def curve(self, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Values at many steps. Points that a resumed run has already are left out."""

    def artifact(self, path: Path) -> None: ...

    def text(self, name: str, text: str) -> None:
        """A text file among the run's artifacts; it replaces an earlier one of that name."""

    def model(self, folder: Path, task: str, metrics: Mapping[str, Any], labels: Sequence[str] = ()) -> None:
        """A model folder with its card. `metrics`: numbers, in groups or not; `labels`: a classifier's classes."""


# track(stage, sections of params, input files, folder of a training's checkpoints): a run of that stage.
Track = Callable[..., AbstractContextManager[Run]]


@contextmanager
def untracked(stage: str, sections: Sections, inputs: Sequence[Path], training: str = "") -> Iterator[Run]:
    yield Run()


# watch(model, tokenizer, prompt ids, runtime, run): callbacks that a training calls at each evaluation.
Watch = Callable[..., Sequence[Callable[[Any], None]]]


def unwatched(*of_the_training: Any) -> Sequence[Callable[[Any], None]]:
    return ()
