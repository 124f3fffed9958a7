"""Where runs go, and where what MLflow has not taken yet is kept."""

import os
from pathlib import Path

# An experiment for each task: runs of one can be compared with each other.
EXPERIMENTS = {
    "pretrain": "gptmill-base",
    "evaluate_base": "gptmill-base",
    "finetune_classifier": "gptmill-classifier",
    "evaluate_classifier": "gptmill-classifier",
    "finetune_instruct": "gptmill-instruct",
    "judge_responses": "gptmill-instruct",
}
PIPELINES = "gptmill-pipeline"  # the experiment of pipeline runs, the parents of the stages' runs
_DVC_EXPERIMENTS = (".dvc", "tmp", "exps")


def home() -> Path:
    """The project's root: the working folder, or, of a DVC experiment in a passing copy (`--temp`, `--queue`), what it copies."""
    parts = Path.cwd().parts
    for i in range(len(parts) - len(_DVC_EXPERIMENTS)):
        if parts[i : i + len(_DVC_EXPERIMENTS)] == _DVC_EXPERIMENTS:
            return Path(*parts[:i])
    return Path()


def journals() -> Path:
    return home() / ".gptmill" / "journal"


def pipelines() -> Path:
    return home() / ".gptmill" / "runs"


def lock() -> Path:
    """The first to come builds MLflow's tables and experiments; two at once would collide in it."""
    return home() / ".mlflow.lock"


def silence() -> Path:
    """When a store last kept a stage waiting for nothing."""
    return home() / ".gptmill" / "not_answering.json"


def is_local() -> bool:
    """Whether runs go to a file in the project."""
    return store() == _own_store()  # not whether the variable is set: MLflow sets it itself once it has connected


def store() -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, or a file in the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_store()


def _own_store() -> str:
    return f"sqlite:///{(home() / 'mlflow.db').resolve()}"


def artifacts() -> str | None:
    """Where a new experiment keeps its files: beside the store in the project; a server decides for itself."""
    return (home() / "mlartifacts").resolve().as_uri() if is_local() else None
