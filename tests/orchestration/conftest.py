"""Clones of the project; some that have run before, so that a flow has little to do; and what Prefect's API says of its runs."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gptmill.params import profiles

NOT_COPIED = shutil.ignore_patterns("mlartifacts", "mlflow.db*", ".mlflow.lock", ".git", "data_docs", "__pycache__")


@dataclass
class Clone:
    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> dict:
        return {"args": [sys.executable, "-m", *arguments], "cwd": self.folder, "env": self.environment}

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess:
        environment = self.environment | settings
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=400)


@pytest.fixture(scope="session")
def clone(root, tmp_path_factory) -> Callable[[], Clone]:
    """Clones: code, graph, profile mini for params.yaml, and no git yet. Their environment knows nothing of whoever runs the tests."""

    def make() -> Clone:
        folder, home = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("home")
        for name in ("src", "pipelines", "profiles", "prompts"):
            shutil.copytree(root / name, folder / name, ignore=NOT_COPIED)
        (folder / ".dvc").mkdir()
        for name in ("dvc.yaml", "prefect.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
            shutil.copy(root / name, folder / name)
        (folder / "params.yaml").write_text(profiles.text("mini", root), encoding="utf-8")
        unset = ("GPTMILL_MIRROR", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME", "DVC_EXP_NAME")
        environment = {name: value for name, value in os.environ.items() if name not in unset and not name.startswith("GIT_")}
        environment |= {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "NO_COLOR": "1", "COLUMNS": "220",
            "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "GPTMILL_CACHE": str(home / "gptmill"),
            "DVC_GLOBAL_CONFIG_DIR": str(home), "DVC_SITE_CACHE_DIR": str(home / "dvc"),
            **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }  # fmt: skip
        return Clone(folder, environment)

    return make


@pytest.fixture(scope="session")
def settled(built, clone) -> Callable[..., Clone]:
    """`settled("report", ...)`: a clone in which everything is up to date but those stages, whose outputs DVC knows nothing of."""

    def make(*open_stages: str) -> Clone:
        from pipelines import graph

        project = clone()
        own = [path.name for path in project.folder.iterdir()]
        shutil.copytree(built.folder, project.folder, ignore=lambda folder, names: {*NOT_COPIED(folder, names), *own}, dirs_exist_ok=True)
        for command in (["init"], ["add", *own], ["commit", "-m", "start"]):
            assert project.run("git", *command).returncode == 0
        stages = [stage.name for stage in graph.read(str(project.folder)) if stage.name not in open_stages]
        done = project.run("dvc", "commit", "--force", *stages)
        assert done.returncode == 0, done.stderr
        return project

    return make


class Api:
    """What a Prefect server tells of its runs."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url + "/", timeout=30)

    def __call__(self, what: str, **filters: object) -> list[dict]:
        return self.client.post(f"{what}/filter", json=filters).raise_for_status().json()

    def flow_runs(self, deployment: str) -> list[dict]:
        """Runs of that deployment, the first to be due first."""
        named = {"deployments": {"name": {"any_": [deployment]}}}
        return self("flow_runs", **named, sort="EXPECTED_START_TIME_ASC")

    def children(self, run: dict) -> list[dict]:
        """Flow runs that the tasks of this run started."""
        parents = [task["id"] for task in self.tasks(run)]
        return self("flow_runs", flow_runs={"parent_task_run_id": {"any_": parents}})

    def tasks(self, run: dict) -> list[dict]:
        return self("task_runs", flow_runs={"id": {"any_": [run["id"]]}})

    def start(self, deployment: str, worker: subprocess.Popen, **parameters: object) -> dict:
        """Have the deployment run once, as soon as the worker has made it known."""
        for _ in range(300):
            if (found := self.client.get(f"deployments/name/{deployment}")).is_success:
                asked = {"parameters": found.json()["parameters"] | parameters}
                return self.client.post(f"deployments/{found.json()['id']}/create_flow_run", json=asked).raise_for_status().json()
            assert worker.poll() is None, "the worker has ended"
            time.sleep(0.2)
        raise AssertionError(f"there is no deployment {deployment}")

    def await_end(self, deployment: str, count: int = 1, patience: float = 120) -> list[dict]:
        """The first runs of the deployment that have ended, as soon as there are so many."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            ended = [run for run in self.flow_runs(deployment) if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED")]
            if len(ended) >= count:
                return ended
            time.sleep(0.5)
        raise AssertionError(f"runs of {deployment} have not ended: {[run['state_name'] for run in self.flow_runs(deployment)]}")


@pytest.fixture(scope="session")
def api() -> Callable[[str], Api]:
    return Api
