"""A store of MLflow's for a test alone, and what is in it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gptmill import tracking


@dataclass(frozen=True)
class Store:
    uri: str

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def experiments(self) -> list[str]:
        """The ids of those that stages log into."""
        names = sorted({*tracking.EXPERIMENTS.values()})
        return [found.experiment_id for name in names if (found := self.client.get_experiment_by_name(name))]

    def runs(self) -> list[Any]:
        """Of stages, the newest first."""
        return self.client.search_runs(self.experiments(), order_by=["start_time DESC"])

    def latest(self) -> Any:
        return self.runs()[0]

    def pipelines(self) -> list[Any]:
        """Pipeline runs, the newest first."""
        found = self.client.get_experiment_by_name(tracking.PIPELINES)
        return self.client.search_runs([found.experiment_id], order_by=["start_time DESC"]) if found else []

    def curve(self, run: Any, name: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in self.client.get_metric_history(run.info.run_id, name)]


@pytest.fixture(scope="session")
def built_store(built) -> Store:
    """What the whole graph has logged."""
    return Store(f"sqlite:///{built.folder}/mlflow.db")


@pytest.fixture
def store(empty_database, tmp_path, monkeypatch) -> Store:
    """The store of the project in the working folder, which has nothing else in it."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return Store(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def outboxes() -> Callable[[], list[Path]]:
    """`outboxes()`: the outboxes in the working folder."""
    return lambda: sorted(Path(".gptmill/journal").glob("*-*"))
