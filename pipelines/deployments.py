"""Scheduled runs: the flow that the deployments of prefect.yaml start, and a process that serves them.

python -m pipelines.deployments          # until Ctrl-C; PREFECT_API_URL names the server (`make ui` starts one)
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import typer
from prefect import flow, get_run_logger, serve, task
from prefect.client.schemas.objects import ConcurrencyLimitConfig, State
from prefect.client.schemas.schedules import construct_schedule
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import PREFECT_API_URL

from gptmill.commands import stage_process
from gptmill.config import safe_yaml
from gptmill.core.errors import GptmillError
from gptmill.core.terminal import exit_on_error
from pipelines import api
from pipelines.flow import pipeline

DEPLOYMENTS = Path("prefect.yaml")
RUN_ID = "PREFECT__FLOW_RUN_ID"  # an environment variable that Prefect sets for a run's own process
CONCURRENCY = 1  # runs of all deployments: they share a folder


@task(
    name="refresh",
    task_run_name="refresh",
    description="checks the sources for changes and pins new hashes in params.yaml",
)
def refresh_sources() -> None:
    """`gptmill data refresh` as a subprocess with logged output. Raises `GptmillError` with the reason if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "gptmill", "data", "refresh"], capture_output=True, text=True, check=False
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for line in lines:
        get_run_logger().info(line)
    if done.returncode:
        reason = lines[-1].removeprefix("error: ") if lines else f"gptmill data refresh ended with {done.returncode}"
        raise GptmillError(reason)


@flow(name="gptmill-scheduled", validate_parameters=True)
def scheduled(refresh: bool = False, force: bool = False, promote: bool = False) -> State:
    """The pipeline in this folder, after a check of its sources. Its state is the pipeline's.

    Args:
        refresh: First check the sources for changes.
        force: Run every stage, also unchanged ones.
        promote: At the end, promote new models that are better than the champions.
    """
    if RUN_ID in os.environ:  # started by a worker or `serve`: ends with it
        stage_process.end_with(psutil.Process().parents()[:1])
    if refresh:
        refresh_sources()
    state = pipeline(force=force, promote=promote, return_state=True)
    return State(type=state.type, name=state.name, message=state.message)


def load(path: Path = DEPLOYMENTS) -> Iterator[RunnerDeployment]:
    """The deployments of prefect.yaml, served from this folder. Raises `GptmillError` when the file is invalid."""
    values = safe_yaml.read(path)
    try:
        for deployment in values["deployments"]:
            yield scheduled.to_deployment(
                name=deployment["name"],
                description=deployment["description"],
                parameters=deployment["parameters"],
                schedules=[construct_schedule(**schedule) for schedule in deployment["schedules"]],
                concurrency_limit=ConcurrencyLimitConfig(**deployment["concurrency_limit"]),
                paused=False,
            )
    except (KeyError, TypeError, ValueError) as error:
        raise GptmillError(f"{path} has no valid list of deployments: {error!r}") from None


def main() -> None:
    """Serve the deployments until Ctrl-C, which pauses their schedules: no late runs pile up."""
    with exit_on_error():
        if not PREFECT_API_URL.value():  # a temporary server keeps no schedule
            raise GptmillError(
                "schedules need a permanent Prefect server: start one (`make ui`), and set PREFECT_API_URL as it prints"
            )
        api.require_server()
        serve(*load(), limit=CONCURRENCY)


if __name__ == "__main__":
    typer.run(main)
