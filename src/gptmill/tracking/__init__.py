"""MLflow, which this package and `registry` alone know: one run for each training or judging stage, nested in one for the pipeline's run.

Tracking is a courtesy to the person who compares runs. Whatever happens to it, the stage goes on and its outputs are the same bytes. So
what a stage tells goes to a journal on disk first; a thread sends it on; and what MLflow could not take then, `gptmill sync` sends later.

    places      where runs go                      journal     what was told, on disk
    context     tags and hashes                    sending     from a journal to MLflow, each event once
    pipelines   the parents of the stages' runs    courier     the thread beside a stage
    stores      MLflow's client and experiments    machine     how busy the machine is
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gptmill.config import flatten
from gptmill.core.errors import Interrupted
from gptmill.core.run import Run, Sections
from gptmill.tracking.locations import EXPERIMENTS, PIPELINES, store

if TYPE_CHECKING:
    from gptmill.tracking.outbox import Outbox

__all__ = ["EXPERIMENTS", "PIPELINES", "run", "store"]

log = logging.getLogger(__name__)


class OutboxRun(Run):
    def __init__(self, journal: "Outbox") -> None:
        self._journal = journal
        points = [point for event in journal.events if event["do"] == "metrics" for point in event["points"]]
        self._drawn = {(name, step) for name, _, step in points}

    def metrics(self, values: Mapping[str, float]) -> None:
        _careful(self._points, [(name, value, 0) for name, value in values.items()])

    def curve(self, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        new = [
            (name, value, step)
            for step, values in points
            for name, value in values.items()
            if (name, step) not in self._drawn
        ]
        self._drawn |= {(name, step) for name, _, step in new}
        _careful(self._points, new)

    def _points(self, points: Sequence[tuple[str, float, int]]) -> None:
        if points:
            self._journal.add("metrics", points=[[name, float(value), step] for name, value, step in points])

    def text(self, name: str, text: str) -> None:
        _careful(self._journal.add, "text", name=name, text=text)

    def artifact(self, path: Path) -> None:
        _careful(self._artifact, path, "")

    def _artifact(self, path: Path, folder: str) -> None:
        self._journal.add("artifact", file=self._journal.keep(path, link=False), folder=folder)

    def model(self, folder: Path, task: str, metrics: Mapping[str, Any], labels: Sequence[str] = ()) -> None:
        _careful(self._model, folder, task, metrics, labels)

    def _model(self, folder: Path, task: str, metrics: Mapping[str, Any], labels: Sequence[str]) -> None:
        # A link to each file: models are large, and always written anew.
        saved = self._journal.keep(folder, link=True)
        self._journal.add("model", folder=saved, task=task, metrics=dict(metrics), labels=list(labels))

    def outputs(self, stage: str) -> None:
        """The hashes of what the stage wrote, so that whoever has these bytes finds the run; and its plots, to look at."""
        _careful(self._outputs, stage)

    def _outputs(self, stage: str) -> None:
        from gptmill.core import paths
        from gptmill.tracking import run_tags

        hashes = run_tags.outputs(stage)
        self._journal.add("tags", values={run_tags.OUTPUT + path: digest for path, digest in hashes.items()})
        for path in map(Path, hashes):
            if path.is_relative_to(paths.PLOTS):
                self._artifact(path, paths.PLOTS.name)


@contextmanager
def run(stage: str, sections: Sections, inputs: list[Path], training: str = "") -> Iterator[Run]:
    """A run of that stage: `sections` of params as flat MLflow params, `inputs` as datasets with the hash that DVC knows them by as digest.

    `training` tells trainings apart that come to something different, as the folder of their checkpoints does: when the last one was killed
    or failed, and this is the same one, it goes on in that one's run.
    """
    tracked = _careful(_Tracked, stage, sections, inputs, training)
    if tracked is None:
        yield Run()
        return
    status = "FAILED"
    try:
        yield tracked.run
        tracked.run.outputs(stage)
        status = "FINISHED"
    except Interrupted:
        status = "KILLED"
        raise
    finally:
        _careful(tracked.end, status)


class _Tracked:
    """A stage's journal, and what goes on beside the stage."""

    def __init__(self, stage: str, sections: Sections, inputs: list[Path], training: str) -> None:
        from gptmill.tracking import outbox, parent_runs, run_tags, sync
        from gptmill.tracking.uploader import Uploader

        pipeline = parent_runs.current()
        tags = run_tags.tags(f"gptmill stage {stage}")
        goes_on, others = _earlier(stage, training)
        self.journal = goes_on or outbox.new()
        if goes_on:
            self.journal.add("again", tags=tags, pipeline=pipeline)
        else:
            name = " ".join([stage, tags.get("dvc.experiment", "")]).strip()
            where = EXPERIMENTS.get(stage, PIPELINES)
            self.journal.add(
                "start", stage=stage, training=training, experiment=where, name=name, tags=tags, pipeline=pipeline
            )
            self.journal.add("params", values={key: str(value) for key, value in flatten(sections)})
            for path in inputs:
                _careful(_add_input, self.journal, path)
        self.run = OutboxRun(self.journal)
        self._courier = Uploader(self.journal)
        for other in others:
            _careful(sync.settle, other, is_past=True, send=self._courier.reached)
        if self._courier.reached:
            _careful(sync.conclude_pipelines, but=pipeline)

    def end(self, status: str) -> None:
        from gptmill.tracking import parent_runs

        self._courier.stop()
        self.journal.add("end", status=status)
        self._courier.deliver()
        if self.journal.pipeline:
            parent_runs.note(self.journal.pipeline)
        if self.journal.behind or self.journal.may_go_on:
            self.journal.close()
        else:
            self.journal.remove()


def _earlier(stage: str, training: str) -> "tuple[Outbox | None, list[Outbox]]":
    """Of the journals of this stage whose process is no more: the one of this training, if it did not end well, and the others."""
    from gptmill.tracking import outbox

    goes_on, others = None, []
    for found in outbox.left():
        if found.stage != stage:
            found.close()
        elif training and found.training == training and found.may_go_on and goes_on is None:
            goes_on = found
        else:
            others.append(found)
    if goes_on:
        goes_on.end_as_killed()
    return goes_on, others


def _add_input(journal: "Outbox", path: Path) -> None:
    from gptmill.tracking import run_tags

    journal.add("input", path=str(path), digest=run_tags.dvc_hash(path))


def _careful(call: Callable, *args: Any, **kwargs: Any) -> Any:
    """What the call returns; None when it raises: no fault of tracking may stop a training."""
    try:
        return call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - as said
        log.warning("tracking: %s: %s", getattr(call, "__name__", call).strip("_"), error)
        return None
