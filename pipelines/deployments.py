"""Runs by themselves. prefect.yaml says when and with which parameters; here are the flow that runs then, and what serves it.

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

PLAN = Path("prefect.yaml")
RUN = "PREFECT__FLOW_RUN_ID"  # a variable that Prefect sets for the process of a run
AT_ONCE = 1  # runs: they work in one folder, whichever deployment they belong to


@task(
    name="refresh",
    task_run_name="refresh",
    description="asks the sources whether they have changed; pins what is new in params.yaml",
)
def refresh_sources() -> None:
    """`gptmill data refresh`, as a process: what it says is the task's log. Raises `GptmillError` with its reason when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "gptmill", "data", "refresh"], capture_output=True, text=True, check=False
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for line in said:
        get_run_logger().info(line)
    if done.returncode:
        raise GptmillError(
            said[-1].removeprefix("error: ") if said else f"gptmill data refresh ended with {done.returncode}"
        )


@flow(name="gptmill-scheduled", validate_parameters=True)
def scheduled(refresh: bool = False, force: bool = False, promote: bool = False) -> State:
    """The pipeline in this folder, after a look at its sources. It ends as the pipeline does: what ran, or that nothing had to.

    Args:
        refresh: Ask the sources whether they have changed, first.
        force: Run every stage, changed or not.
        promote: At the end, let the new models take the champions' place where they are better.
    """
    if RUN in os.environ:  # a process of its own, which a worker or `serve` started: it does not outlive that one
        stage_process.end_with(psutil.Process().parents()[:1])
    if refresh:
        refresh_sources()
    state = pipeline(force=force, promote=promote, return_state=True)
    return State(type=state.type, name=state.name, message=state.message)


def planned(plan: Path = PLAN) -> Iterator[RunnerDeployment]:
    """The deployments of prefect.yaml, to be served from here. Raises `GptmillError` when it is not as it should be."""
    plans = safe_yaml.read(plan)
    try:
        for one in plans["deployments"]:
            yield scheduled.to_deployment(
                name=one["name"],
                description=one["description"],
                parameters=one["parameters"],
                schedules=[construct_schedule(**schedule) for schedule in one["schedules"]],
                concurrency_limit=ConcurrencyLimitConfig(**one["concurrency_limit"]),
                paused=False,
            )
    except (KeyError, TypeError, ValueError) as error:
        raise GptmillError(f"{plan} is not a list of deployments as gptmill has them: {error!r}") from None


def main() -> None:
    """Serve the deployments until Ctrl-C. Their schedules pause with it, so that no runs pile up meanwhile."""
    with exit_on_error():
        if not PREFECT_API_URL.value():  # a server that lives as long as a flow keeps no schedule
            raise GptmillError(
                "schedules need a Prefect server that stays: start one (`make ui`), and set PREFECT_API_URL as it says"
            )
        api.require_server()
        serve(*planned(), limit=AT_ONCE)


if __name__ == "__main__":
    typer.run(main)
