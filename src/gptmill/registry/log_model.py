"""Models in MLflow: each with what it needs to answer anywhere, as code and safetensors, never as a pickle."""

import errno
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gptmill.registry import model_card
from gptmill.registry.model_kinds import Task, of_task
from gptmill.tracking.dvc_lock import dvc_hash

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models.model import ModelInfo

# What a served model imports; the versions are those that it was trained with.
_REQUIREMENTS = [
    "torch",
    "tiktoken",
    "tokenizers",
    "safetensors",
    "numpy",
    "pandas",
    "psutil",
    "pydantic",
    "tqdm",
    "scikit-learn",
]
CONTENT = "gptmill.content"  # a tag: DVC's hash of the folder that was logged


def log_to_run(
    client: "MlflowClient",
    run_id: str,
    folder: Path,
    task: Task,
    metrics: Mapping[str, Any],
    labels: Sequence[str] = (),
) -> None:
    """Log a model folder with its card to a run, once: a call that failed or was killed may be repeated.

    Raises `OSError` (ENOSPC) before it writes anything when there is no room.
    """
    experiment_id = client.get_run(run_id).info.experiment_id
    if _is_logged(client, experiment_id, run_id, folder.name):
        return
    _require_room(folder, client.get_experiment(experiment_id).artifact_location)
    card = model_card.of_folder(folder, task, metrics, labels)
    try:
        log_model(run_id, folder, task, card)
    except Exception:
        with suppress(Exception):  # the next try does it again
            _is_logged(client, experiment_id, run_id, folder.name)
        raise
    client.update_run(run_id, status="RUNNING")  # `log_model` has ended it


def _is_logged(client: "MlflowClient", experiment_id: str, run_id: str, name: str) -> bool:
    """Whether the run has that model. Incomplete ones are removed with their files: the disk may be full of them."""
    complete = False
    for model in client.search_logged_models([experiment_id], filter_string=f"source_run_id = '{run_id}'"):
        if model.name == name and str(model.status) == "READY":
            complete = True
        elif model.name == name:
            _remove_files(model)
            client.delete_logged_model(model.model_id)
    return complete


def log_model(run_id: str, folder: Path, task: Task, card: str) -> "ModelInfo":
    """Log a model folder, its card, code, requirements and schema of inputs and outputs to a run, which ends."""
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Map

    text = ColSpec(DataType.string, "text")
    classes = [
        ColSpec(DataType.string, "label"),
        ColSpec(DataType.double, "probability"),
        ColSpec(Map(DataType.double), "probabilities"),
    ]
    package = Path(__file__).parents[1]
    run = mlflow.start_run(run_id=run_id, log_system_metrics=False)
    with run, tempfile.TemporaryDirectory(prefix="gptmill-") as temporary:
        page = Path(temporary, model_card.NAME)
        page.write_text(card, encoding="utf-8")
        return mlflow.pyfunc.log_model(
            name=folder.name,
            python_model=str(package / "registry" / "pyfunc.py"),
            artifacts={"model": str(folder), "card": str(page)},
            model_config={"task": task},
            code_paths=[str(package)],
            input_example=pd.DataFrame({"text": [of_task(task).example]}),
            signature=ModelSignature(inputs=Schema([text]), outputs=Schema(classes if task == "classify" else [text])),
            pip_requirements=[_requirement(name) for name in _REQUIREMENTS],
            tags={CONTENT: dvc_hash(folder)},
        )


def _require_room(folder: Path, location: str) -> None:
    """Raises `OSError` (ENOSPC) without room for what `log_model` writes: a temporary copy, and one in the store."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed_in = Counter({_existing(Path(tempfile.gettempdir())): size})
    if is_local_uri(location):
        needed_in[_existing(Path(local_file_uri_to_path(location)))] += size
    by_disk: Counter[int] = Counter()
    for place, needed in needed_in.items():
        by_disk[place.stat().st_dev] += needed
        free = shutil.disk_usage(place).free
        if free < by_disk[place.stat().st_dev]:
            message = f"no space left: {needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free"
            raise OSError(errno.ENOSPC, message, str(place))


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _remove_files(model: "LoggedModel") -> None:
    """Remove what was uploaded of a model, where the store allows it."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with suppress(Exception):
        get_artifact_repository(model.artifact_location).delete_artifacts()


def _requirement(package: str) -> str:
    # Without the local part of a version, such as torch's +cpu: other machines can't install it.
    return f"{package}=={metadata.version(package).partition('+')[0]}"
