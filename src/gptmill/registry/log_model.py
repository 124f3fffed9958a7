"""Models in MLflow: each with what it needs to answer anywhere, as code and safetensors, never as a pickle."""

import errno
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Literal

from gptmill.registry import model_card
from gptmill.tracking.run_tags import dvc_hash

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models.model import ModelInfo

Task = Literal["generate", "ask", "classify"]

# What a served model imports; the versions are those that it was trained with.
_REQUIREMENTS = (
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
)
EXAMPLES: dict[Task, str] = {
    "generate": "Once",
    "ask": "Name the tool of a baker.",
    "classify": "WINNER!! Claim your prize now",
}
CONTENT = "gptmill.content"  # a tag: the name by which DVC knows the folder that was logged


def log_model(folder: Path, task: Task, card: str) -> "ModelInfo":
    """Log a model folder and its card to the active run, with its code, its requirements and the schema of its inputs and outputs."""
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
    with tempfile.TemporaryDirectory(prefix="gptmill-") as temporary:
        page = Path(temporary, model_card.NAME)
        page.write_text(card, encoding="utf-8")
        return mlflow.pyfunc.log_model(
            name=folder.name,
            python_model=str(package / "registry" / "pyfunc.py"),
            artifacts={"model": str(folder), "card": str(page)},
            model_config={"task": task},
            code_paths=[str(package)],
            input_example=pd.DataFrame({"text": [EXAMPLES[task]]}),
            signature=ModelSignature(inputs=Schema([text]), outputs=Schema(classes if task == "classify" else [text])),
            pip_requirements=[_requirement(name) for name in _REQUIREMENTS],
            tags={CONTENT: dvc_hash(folder)},
        )


def require_room(folder: Path, location: str) -> None:
    """Raises `OSError` (ENOSPC) when there is no room for what `log_model` writes: a copy in a temporary folder, one in the store."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    wanted = Counter({_existing(Path(gettempdir())): size})
    if is_local_uri(location):
        wanted[_existing(Path(local_file_uri_to_path(location)))] += size
    by_disk: Counter[int] = Counter()
    for place, needed in wanted.items():
        by_disk[place.stat().st_dev] += needed
        free = shutil.disk_usage(place).free
        if free < by_disk[place.stat().st_dev]:
            raise OSError(
                errno.ENOSPC, f"no space left: {needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free", str(place)
            )


def _existing(place: Path) -> Path:
    return next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())


def remove_files(model: "LoggedModel") -> None:
    """Remove what was uploaded of a model. Not every store lets its files be removed: then they stay."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with suppress(Exception):
        get_artifact_repository(model.artifact_location).delete_artifacts()


def _requirement(package: str) -> str:
    # A build that is for one kind of machine (torch's +cpu) is no version that others could install.
    return f"{package}=={metadata.version(package).partition('+')[0]}"
