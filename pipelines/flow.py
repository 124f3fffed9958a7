"""The Prefect flow: one task run for each stage of dvc.yaml, branches side by side, cached stages shown as cached.

python -m pipelines.flow                 # starts a server of its own, unless PREFECT_API_URL names one
python -m pipelines.flow --force         # runs every stage, cached or not
"""

import subprocess
import sys
from collections import deque

import typer
from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from gptmill import params
from gptmill.errors import GptmillError
from pipelines import graph

SIDE_BY_SIDE = 4  # stages at once; each may use all cores, so more would only make them wait for one another
# What DVC says of a stage that it did not have to run.
UNCHANGED, FROM_CACHE = "didn't change, skipping", "is cached - skipping run"


@task
def run_stage(name: str, force: bool) -> State:
    """Have DVC run one stage; what it prints is the task's log. The state says whether it ran, was cached, or failed and why."""
    logger = get_run_logger()
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *(["--force"] if force else []), name]
    said: deque[str] = deque(maxlen=200)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        for line in process.stdout or ():
            if line := line.strip():
                said.append(line)
                logger.info(line)
    if process.returncode:
        return Failed(message=_reason(said) or f"dvc repro {name} exited with {process.returncode}")
    if any(UNCHANGED in line or FROM_CACHE in line for line in said):
        return Completed(name="Cached", message="nothing that it reads has changed")
    return Completed(message="ran")


@flow(name="gptmill", task_runner=ThreadPoolTaskRunner(max_workers=SIDE_BY_SIDE), validate_parameters=True)
def pipeline(force: bool = False) -> list[State]:
    """All stages of dvc.yaml, each as soon as what it reads is there. A stage that fails stops only what depends on it."""
    params.load()  # bad parameters stop the flow before any stage
    futures = {}
    for stage in graph.read():
        run = run_stage.with_options(name=stage.name, task_run_name=stage.name, description=stage.description)
        futures[stage.name] = run.submit(stage.name, force, wait_for=[futures[name] for name in stage.upstream])
    states = {name: _final(future) for name, future in futures.items()}
    _show(states)
    return list(states.values())


def _final(future) -> State:
    future.wait()
    return future.state


def _reason(said: deque[str]) -> str:
    """The line that tells why: our own error if there is one, else DVC's."""
    errors = [line for line in said if line.startswith(("error:", "ERROR:"))]
    return errors[0] if errors else ""


def _show(states: dict[str, State]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "state", "why")
    for name, state in states.items():
        colour = {StateType.COMPLETED: "green", StateType.FAILED: "red"}.get(state.type, "yellow")
        table.add_row(name, f"[{colour}]{state.name}[/]", (state.message or "").splitlines()[0] if state.message else "")
    Console().print(table)


def main(force: bool = typer.Option(False, help="Run every stage, cached or not.")) -> None:
    """Run the flow once, here."""
    try:
        params.load()
    except GptmillError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
    if not pipeline(force, return_state=True).is_completed():
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
