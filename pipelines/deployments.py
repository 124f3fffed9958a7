"""Runs by themselves. prefect.yaml says when and with which parameters; here are the flow that runs then, and what serves it.

python -m pipelines.deployments          # until Ctrl-C; PREFECT_API_URL names the server (`make ui` starts one)
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from prefect import flow, get_client, get_run_logger, serve, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import ConcurrencyLimitConfig, State
from prefect.client.schemas.schedules import construct_schedule
from prefect.deployments.runner import RunnerDeployment
from prefect.states import Completed, Failed

from gptmill.errors import GptmillError
from pipelines import graph
from pipelines.flow import pipeline

PLAN = Path("prefect.yaml")
ONE_AT_A_TIME = 1  # runs work in one folder, whichever deployment they belong to


@task(name="refresh", task_run_name="refresh", description="asks the sources whether they have changed; pins what is new in params.yaml")
def refresh_sources() -> State[list[str]]:
    """`gptmill data refresh`, as a process: what it says of each data set."""
    done = subprocess.run([sys.executable, "-m", "gptmill", "data", "refresh"], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for line in said:
        get_run_logger().info(line)
    if done.returncode:
        return Failed(message=said[-1] if said else f"gptmill data refresh ended with {done.returncode}")
    return Completed(message="the sources have been asked", data=said)


@flow(name="gptmill-scheduled", validate_parameters=True)
def scheduled(refresh: bool = False, force: bool = False, promote: bool = False) -> State:
    """The pipeline in this folder, after a look at its sources. The final state and an artifact say what has run, if anything."""
    told = refresh_sources() if refresh else []
    run = pipeline(force=force, return_state=True)
    outcome = _outcome(run)
    _show(told, outcome)
    if not run.is_completed():
        return Failed(message=run.message or "the pipeline did not complete; its own run says why")
    worked = [name for name, state in outcome.items() if state != "Cached"]
    return Completed(message=f"ran {', '.join(worked)}" if worked else "nothing had changed, so nothing was done")


def _outcome(run: State) -> dict[str, str]:
    """Stage -> name of the state in which that run of the pipeline left it, in the graph's order."""
    with get_client(sync_client=True) as client:
        this = FlowRunFilter(id=FlowRunFilterId(any_=[run.state_details.flow_run_id]))
        states = {each.name: each.state_name or "" for each in client.read_task_runs(flow_run_filter=this)}
    return {stage.name: states[stage.name] for stage in graph.read() if stage.name in states}


def _show(told: list[str], outcome: dict[str, str]) -> None:
    changed = any(state != "Cached" for state in outcome.values())
    lines = ["## What this run did" if changed else "## Nothing had changed", ""]
    lines += [f"- `{line.replace('`', '')}`" for line in told]
    lines += ["", "| stage | state |", "|---|---|", *(f"| `{name}` | {state} |" for name, state in outcome.items())]
    create_markdown_artifact("\n".join(lines), key="scheduled-run", description="What the scheduled run found and did.")


def planned(plan: Path = PLAN) -> Iterator[RunnerDeployment]:
    """The deployments of prefect.yaml, to be served from here."""
    from ruamel.yaml import YAML

    for one in YAML(typ="safe").load(plan.read_text(encoding="utf-8"))["deployments"]:
        yield scheduled.to_deployment(
            name=one["name"],
            description=one["description"],
            parameters=one["parameters"],
            schedules=[construct_schedule(**schedule) for schedule in one["schedules"]],
            concurrency_limit=ConcurrencyLimitConfig(**one["concurrency_limit"]),
            paused=False,
        )


def require_server() -> None:
    """Raises `GptmillError` unless PREFECT_API_URL names a server that answers: one that lives as long as a flow keeps no schedule."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    if not (url := PREFECT_API_URL.value()):
        raise GptmillError("schedules need a Prefect server that stays: start one (`make ui`) and set PREFECT_API_URL to its API's address")
    try:
        httpx.get(f"{url}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise GptmillError(f"no Prefect server answers at PREFECT_API_URL={url}: {error}") from None


def main() -> None:
    """Serve the deployments until Ctrl-C. Their schedules pause with it, so that no runs pile up meanwhile."""
    try:
        require_server()
        serve(*planned(), limit=ONE_AT_A_TIME)
    except GptmillError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(main)
