"""Where runs go: MLflow's store and experiments; and the project's files for tracking."""

import os
from pathlib import Path

# The stages that have runs, in order. One experiment per task: its runs can be compared with each other.
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
    """The project's root: the working folder, or the original of a DVC experiment's copy (`--temp`, `--queue`)."""
    parts = Path.cwd().parts
    for i in range(len(parts) - len(_DVC_EXPERIMENTS)):
        if parts[i : i + len(_DVC_EXPERIMENTS)] == _DVC_EXPERIMENTS:
            return Path(*parts[:i])
    return Path()


def outboxes() -> Path:
    return home() / ".gptmill" / "journal"


def pipelines() -> Path:
    return home() / ".gptmill" / "runs"


def lock() -> Path:
    """Held while MLflow's tables and experiments are made: two processes at once would collide."""
    return home() / ".mlflow.lock"


def outage() -> Path:
    """When a store last did not answer."""
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
    """Where a new experiment stores its files: beside the store in the project; a server decides for itself."""
    return (home() / "mlartifacts").resolve().as_uri() if is_local() else None
