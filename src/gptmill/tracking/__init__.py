"""MLflow tracking: one run per training, evaluation and judging stage, nested in the run of its pipeline.

Tracking never fails a stage: events go to a local outbox, a thread uploads them, `gptmill sync` uploads the rest later.

    locations    stores, experiments, files    outbox            events on disk
    run_tags     commit, DVC, Prefect          replay            an outbox to MLflow, each event once
    dvc_lock     hashes as DVC has them        uploader          the thread beside a stage
    parent_runs  runs of pipelines             sync              outboxes of ended processes
    mlflow_client  connections, timeouts       system_metrics    CPU, memory, GPU
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gptmill.config import flatten
from gptmill.core import paths
from gptmill.core.errors import Interrupted
from gptmill.core.tracked_run import Run, Sections
from gptmill.tracking import dvc_lock, run_tags
from gptmill.tracking.locations import EXPERIMENTS, PIPELINES, store

if TYPE_CHECKING:
    from gptmill.tracking.outbox import Outbox
    from gptmill.tracking.replay import LogModel

__all__ = ["EXPERIMENTS", "PIPELINES", "run", "store"]

log = logging.getLogger(__name__)


def _guarded(call: Callable) -> Callable:
    """The call, but an exception is logged, and None returned: no fault of tracking may stop a training."""

    @wraps(call)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as said
            log.warning("tracking: %s: %s", getattr(call, "__name__", call).strip("_"), error)
            return None

    return guarded


class OutboxRun(Run):
    def __init__(self, outbox: "Outbox") -> None:
        self._outbox = outbox
        self._logged = {(name, step) for name, _, step in outbox.points()}

    def metrics(self, values: Mapping[str, float]) -> None:
        self._add_points([(name, value, 0) for name, value in values.items()])

    def curve(self, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        flat = [(name, value, step) for step, values in points for name, value in values.items()]
        new = [(name, value, step) for name, value, step in flat if (name, step) not in self._logged]
        self._logged |= {(name, step) for name, _, step in new}
        self._add_points(new)

    @_guarded
    def _add_points(self, points: Sequence[tuple[str, float, int]]) -> None:
        if points:
            self._outbox.add("metrics", points=[[name, float(value), step] for name, value, step in points])

    @_guarded
    def text(self, name: str, text: str) -> None:
        self._outbox.add("text", name=name, text=text)

    @_guarded
    def artifact(self, path: Path, folder: str = "") -> None:
        self._outbox.add("artifact", file=self._outbox.attach(path, link=False), folder=folder)

    @_guarded
    def model(self, folder: Path, task: str, metrics: Mapping[str, Any], labels: Sequence[str] = ()) -> None:
        # Linked, not copied: models are large, and a stage never writes into an existing file.
        attached = self._outbox.attach(folder, link=True)
        self._outbox.add("model", folder=attached, task=task, metrics=dict(metrics), labels=list(labels))

    @_guarded
    def input(self, path: Path) -> None:
        """Log an input as a dataset, with DVC's hash as its digest."""
        self._outbox.add("input", path=str(path), digest=dvc_lock.dvc_hash(path))

    @_guarded
    def outputs(self, stage: str) -> None:
        """Log the hashes of the stage's outputs as tags, so that a run can be found by its outputs; and its plots."""
        hashes = dvc_lock.hash_outputs(stage)
        self._outbox.add("tags", values={run_tags.OUTPUT + path: digest for path, digest in hashes.items()})
        for path in map(Path, hashes):
            if path.is_relative_to(paths.PLOTS):
                self.artifact(path, paths.PLOTS.name)


@contextmanager
def run(
    stage: str, sections: Sections, inputs: list[Path], training: str = "", log_model: "LogModel | None" = None
) -> Iterator[Run]:
    """A run of that stage: `sections` of params as flat MLflow params, `inputs` as datasets with DVC's hash as digest.

    `training`: the folder of a training's checkpoints. A training that was killed or failed resumes in its earlier run.
    `log_model`: without it, models and the events after them wait in the outbox.
    """
    tracked = _guarded(_Tracked)(stage, sections, inputs, training, log_model)
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
        _guarded(tracked.end)(status)


class _Tracked:
    """The outbox of a stage, its run and its uploader."""

    def __init__(
        self, stage: str, sections: Sections, inputs: list[Path], training: str, log_model: "LogModel | None" = None
    ) -> None:
        from gptmill.tracking import outbox, parent_runs, sync
        from gptmill.tracking.uploader import Uploader

        pipeline = parent_runs.current()
        tags = run_tags.tags(f"gptmill stage {stage}")
        resumed, earlier = _abandoned(stage, training)
        self.outbox = resumed or outbox.create()
        if resumed:
            self.outbox.add("again", tags=tags, pipeline=pipeline)
        else:
            name = " ".join([stage, tags.get("dvc.experiment", "")]).strip()
            start = {"stage": stage, "training": training, "experiment": EXPERIMENTS.get(stage, PIPELINES)}
            self.outbox.add("start", **start, name=name, tags=tags, pipeline=pipeline)
            self.outbox.add("params", values={key: str(value) for key, value in flatten(sections)})
        self.run = OutboxRun(self.outbox)
        for path in () if resumed else inputs:
            self.run.input(path)
        self._uploader = Uploader(self.outbox, log_model)
        for other in earlier:
            _guarded(sync.settle)(other, log_model, is_past=True, send=self._uploader.reached)
        if self._uploader.reached:
            _guarded(sync.conclude_pipelines)(but=pipeline)

    def end(self, status: str) -> None:
        from gptmill.tracking import parent_runs

        self._uploader.stop()
        self.outbox.add("end", status=status)
        self._uploader.deliver()
        if self.outbox.pipeline:
            parent_runs.record_outputs(self.outbox.pipeline)
        self.outbox.release()


def _abandoned(stage: str, training: str) -> "tuple[Outbox | None, list[Outbox]]":
    """Outboxes of this stage whose process has ended: the one that this training resumes, if any, and the rest."""
    from gptmill.tracking import outbox

    resumed, earlier = None, []
    for box in outbox.abandoned():
        if box.stage != stage:
            box.close()
        elif training and box.training == training and box.resumable and resumed is None:
            resumed = box
        else:
            earlier.append(box)
    if resumed:
        resumed.mark_killed()
    return resumed, earlier
