"""MLflow, and the only file but `registry` that knows it: one run for each training or judging stage.

Tracking is a courtesy to the person who compares runs. Whatever happens to it, the stage goes on and its outputs are the same bytes.
"""

import logging
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel

from gptmill import files, ranks
from gptmill.errors import Interrupted

EXPERIMENT = "gptmill"
LOCAL_STORE = "sqlite:///mlflow.db"
LOCAL_ARTIFACTS = Path("mlartifacts")
LARGEST_BATCH = 1000  # points that MLflow takes in one call

log = logging.getLogger(__name__)


class Run:
    """What a stage may tell about itself. This one keeps nothing: it stands in when tracking does not work."""

    def metrics(self, values: Mapping[str, float]) -> None: ...

    def curve(self, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Values at many steps in one call: one a point is slow."""

    def artifact(self, path: Path) -> None: ...

    def text(self, name: str, text: str) -> None:
        """A text file among the run's artifacts, in place of what was there under that name."""

    def model(self, folder: Path, task: str) -> None: ...


class MLflowRun(Run):
    def metrics(self, values: Mapping[str, float]) -> None:
        import mlflow

        _careful(mlflow.log_metrics, dict(values))

    def curve(self, points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        _careful(_log_curve, points)

    def text(self, name: str, text: str) -> None:
        import mlflow

        _careful(mlflow.log_text, text, name)

    def artifact(self, path: Path) -> None:
        import mlflow

        _careful(mlflow.log_artifact, str(path))

    def model(self, folder: Path, task: str) -> None:
        from gptmill import registry

        _careful(registry.log_model, folder, task)


@contextmanager
def run(stage: str, sections: Mapping[str, BaseModel | int | str | list[str]], inputs: list[Path]) -> Iterator[Run]:
    """A run of that stage: `sections` of params as flat MLflow params, `inputs` as datasets with their SHA-256 as digest.

    Of several processes that work on the same stage, the first one has it; the others' keeps nothing.
    """
    if not ranks.leads():
        yield Run()
        return
    try:
        import mlflow

        _open_store()
        mlflow.start_run(run_name=stage)
    except Exception as error:  # noqa: BLE001 - no fault of tracking may stop a training
        log.warning("MLflow cannot be reached, this run is not tracked: %s", error)
        yield Run()
        return
    status = "FAILED"
    try:
        _careful(mlflow.set_tags, {**_git(), "dvc.stage": stage, "dvc.experiment": os.environ.get("DVC_EXP_NAME", "")})
        _careful(mlflow.log_params, dict(_flatten(sections)))
        for path in inputs:
            _careful(_log_input, path)
        yield MLflowRun()
        status = "FINISHED"
    except Interrupted:
        status = "KILLED"
        raise
    finally:
        _careful(mlflow.end_run, status)  # not mlflow's own `with`: that raises when the server is gone by now


def store() -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, or a file in this folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or LOCAL_STORE


def _open_store() -> None:
    import mlflow

    mlflow.set_tracking_uri(store())
    # The first to come builds the tables; two at once would collide in it.
    with FileLock(".mlflow.lock"):
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            local = None if os.environ.get("MLFLOW_TRACKING_URI") else LOCAL_ARTIFACTS.resolve().as_uri()
            mlflow.create_experiment(EXPERIMENT, artifact_location=local)
    mlflow.set_experiment(EXPERIMENT)


def _log_curve(points: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    import mlflow
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for step, values in points for name, value in values.items()]
    for i in range(0, len(metrics), LARGEST_BATCH):
        mlflow.MlflowClient().log_batch(mlflow.active_run().info.run_id, metrics[i : i + LARGEST_BATCH])


def _log_input(path: Path) -> None:
    import mlflow
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource

    # The digest is the hash by which DVC knows the same bytes.
    mlflow.log_input(MetaDataset(LocalArtifactDatasetSource(str(path)), name=str(path), digest=files.digest(path, "md5")))


def _git() -> dict[str, str]:
    def ask(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()

    commit = ask("rev-parse", "HEAD")
    return (
        {"mlflow.source.git.commit": commit, "git.dirty": str(bool(ask("status", "--porcelain", "--untracked-files=no"))).lower()}
        if commit
        else {}
    )


def _flatten(sections: Mapping[str, BaseModel | int | str | list[str]]) -> Iterator[tuple[str, Any]]:
    for name, section in sections.items():
        if isinstance(section, BaseModel):
            section = section.model_dump()
        if isinstance(section, Mapping):
            yield from _flatten({f"{name}.{key}": value for key, value in section.items()})
        else:
            yield name, section


def _careful(call: Any, *args: Any, **kwargs: Any) -> None:
    try:
        call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - as above
        log.warning("MLflow did not take %s: %s", getattr(call, "__name__", call), error)
