"""MLflow's store: a client of it, and its experiments."""

import os
from typing import TYPE_CHECKING

from filelock import FileLock

from gptmill.tracking import places

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A server that does not answer is not waited for: what it does not take now is kept. A user's own settings win.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def connect(store: str) -> "MlflowClient":
    """A client of that store, with its tables built. Raises whatever MLflow does."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    mlflow.set_tracking_uri(store)
    with FileLock(places.lock()):
        client = mlflow.MlflowClient(store)
        client.search_experiments(max_results=1)
    return client


def experiment(client: "MlflowClient", name: str) -> str:
    """The id of the experiment of that name, which is made when there is none."""
    with FileLock(places.lock()):
        found = client.get_experiment_by_name(name)
        return found.experiment_id if found else client.create_experiment(name, places.artifacts())
