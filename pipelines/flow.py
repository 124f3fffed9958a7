"""The Prefect flow: a task run for each stage of dvc.yaml, independent stages in parallel, cached ones marked.

python -m pipelines.flow                                     # with a temporary server, unless PREFECT_API_URL names one
python -m pipelines.flow report --force                      # some stages and their dependencies, also cached ones
python -m pipelines.flow --profile mini --set base.epochs=2  # in a copy, saved as a DVC experiment
"""

import atexit
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from prefect import Task, flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from gptmill import config
from gptmill.commands.watchdog import interrupt_on_signals
from gptmill.config.schema import Params
from gptmill.core import paths
from gptmill.core.errors import Unavailable
from gptmill.core.terminal import exit_on_error, say
from gptmill.ingest import refresh
from pipelines import api, graph, summary
from pipelines import workspace as workspaces
from pipelines.overrides import params_text
from pipelines.processes import Processes, ProcessResult, Stopped
from pipelines.workspace import Workspace

MAX_PARALLEL_STAGES = 4  # each may use all cores
RETRY_DELAYS = [10, 60, 240]  # seconds, for stages that use the network
# DVC's output for a stage that it did not run,
UNCHANGED, FROM_CACHE = "didn't change, skipping", "is cached - skipping run"
BUSY = "is busy, it is being blocked by"  # and for files that another `dvc` process has locked
BUSY_DELAY = 2.0  # seconds
NO_CHANGE = "inputs have not changed"
TRANSIENT = f"exited with {Unavailable.exit_code}"  # DVC's output for a stage that may succeed on a retry,
UNAVAILABLE = "Unavailable"  # and the name of its state
INTERRUPTED = "Ctrl-C was pressed"
REFUSED = 3  # exit code of `gptmill promote` when a model is not better
MLFLOW_TIMEOUT = 60  # seconds for MLflow to store the end of the run
MLFLOW_CANCEL_TIMEOUT = (
    2  # for a cancelled run: enough to write to the outbox, which the next run or `gptmill sync` uploads
)


class PipelineRun:
    """One flow run: its workspace, its subprocesses, and the stages that have run."""

    def __init__(self, workspace: Workspace, processes: Processes, force: bool) -> None:
        self.workspace, self.processes, self.force = workspace, processes, force
        self.environment = workspace.environment(str(flow_run.id))
        self.ran: set[str] = set()  # or came from DVC's run cache: stages with new outputs
        self._slots = threading.Semaphore(MAX_PARALLEL_STAGES)

    def task(self, stage: graph.Stage, values: Params) -> Task:
        """The Prefect task of one stage. Its state is completed, cached, cancelled, or failed with the reason."""
        delays = RETRY_DELAYS if stage.uses_network(values) else []
        names = {"name": stage.name, "task_run_name": stage.name, "description": stage.description}
        return task(lambda: self._run_with_retries(stage, delays), **names, cache_policy=NO_CACHE)

    def _run_with_retries(self, stage: graph.Stage, delays: Sequence[float]) -> State:
        """The final state, after retries while a server is unavailable. Prefect's retries would delay a cancel."""
        for delay in delays:
            state = self._run_stage(stage)
            if state.name != UNAVAILABLE:
                return state
            get_run_logger().warning("%s; retry in %g s", state.message, delay)
            self.processes.sleep(delay)
        return self._run_stage(stage)

    def _run_stage(self, stage: graph.Stage) -> State:
        # `dvc status` ran once, before the first task. It is still right unless an upstream stage has run since.
        if stage.up_to_date and not self.force and self.ran.isdisjoint(stage.upstream):
            return Completed(name="Cached", message=NO_CHANGE)
        command = ["dvc", "--wait-for-lock", "repro", "--single-item", *(["--force"] if self.force else []), stage.name]
        with self._slots:
            result = self._run(command, stage.minutes)
            while result.code and _printed(result, BUSY) and not self.processes.stopped:
                self.processes.sleep(BUSY_DELAY)
                result = self._run(command, stage.minutes)
        if not result.code and _printed(result, UNCHANGED):
            return Completed(name="Cached", message=NO_CHANGE)
        self.ran.add(stage.name)
        if not result.code and _printed(result, FROM_CACHE):
            return Completed(
                name="Cached", message="the outputs of an earlier run with the same inputs, from DVC's cache"
            )
        return _state(command, result, self.processes.stopped, stage.minutes)

    def promote(self) -> State:
        """`gptmill promote` as a subprocess. It does not fail when no model is better."""
        command = ["gptmill", "promote"]
        result = self._run(command)
        if result.code == REFUSED:
            return Completed(name="Refused", message="not every new model is better than its champion, which stays")
        return _state(command, result, self.processes.stopped)

    def _run(self, command: list[str], minutes: float | None = None) -> ProcessResult:
        """Run `python -m COMMAND` in the workspace, with its output in the task's log."""
        seconds, log = minutes * 60 if minutes else None, get_run_logger().info
        return self.processes.run(
            [sys.executable, "-m", *command], self.workspace.folder, self.environment, log, seconds
        )


@flow(name="gptmill", task_runner=ThreadPoolTaskRunner(), validate_parameters=True)
def pipeline(
    targets: list[str] | None = None,
    profile: str | None = None,
    overrides: list[str] | None = None,
    force: bool = False,
    promote: bool = False,
) -> State:
    """The stages of dvc.yaml, each as soon as its inputs exist. A failed stage stops only the stages that depend on it.

    Args:
        targets: Names of stages to run, with their dependencies. None: all stages.
        profile: A file of profiles/, without .yaml, in place of params.yaml.
        overrides: Parameters to change, as in classifier.epochs=3. A run with overrides or a profile works in a copy.
        force: Run every stage, also unchanged ones.
        promote: At the end, promote new models that are better than the champions.
    """
    root = Path.cwd()
    params = check_arguments(root, targets, profile, overrides)  # errors stop the flow before any stage
    log = get_run_logger().info
    runs = {flow_run.id, flow_run.root_flow_run_id or flow_run.id}
    with Processes() as processes, api.on_cancel(runs, lambda: processes.stop("the run was cancelled")):
        if profile is None and not overrides:
            enter = workspaces.in_place(root, processes, log)
        else:
            label = "-".join([profile or "", *(overrides or [])])
            enter = workspaces.copy(root, refresh.with_pinned_hashes(params), label, processes, log)
        try:
            with enter as workspace:
                if not workspace.experiment:
                    for line in refresh.refresh_local(config.load()):
                        log(line)
                run = PipelineRun(workspace, processes, force)
                stages = graph.select(_read_graph(run), targets or [])
                return _finish(run, _run_tasks(run, stages), promote)
        except Stopped:
            return Cancelled(message=processes.stopped)
        except KeyboardInterrupt:
            return Cancelled(message=INTERRUPTED)


def check_arguments(root: Path, targets: list[str] | None, profile: str | None, overrides: list[str] | None) -> str:
    """The text of params.yaml for these arguments of the flow. Raises `GptmillError` that names an invalid one."""
    params = params_text(root, profile, overrides or [])
    refresh.check_local(config.parse(params))
    if targets:
        graph.select(graph.read(str(root)), targets)
    return params


def _read_graph(run: PipelineRun) -> list[graph.Stage]:
    """The stages, as soon as DVC's lock is free. Raises `Stopped` when the run is stopped while it waits."""
    waiting = False
    while True:
        try:
            return graph.read(str(run.workspace.folder), check=not run.force)
        except graph.Busy:
            if not waiting:
                get_run_logger().info("waits for a `dvc` process that was started by hand in the same folder")
            waiting = True
            run.processes.sleep(BUSY_DELAY)
            run.processes.raise_if_stopped()


def _run_tasks(run: PipelineRun, stages: list[graph.Stage]) -> dict[str, State]:
    """The final state of each stage."""
    values = config.load(run.workspace.folder / paths.PARAMS)
    futures: dict[str, PrefectFuture] = {}
    for stage in stages:
        futures[stage.name] = run.task(stage, values).submit(wait_for=[futures[name] for name in stage.upstream])
    try:
        wait(list(futures.values()))
    except KeyboardInterrupt:
        run.processes.stop(INTERRUPTED)
        wait(list(futures.values()))
    return {name: future.state for name, future in futures.items()}


def _finish(run: PipelineRun, states: dict[str, State], promote: bool) -> State:
    """Save the experiment, promote, and create artifacts. Returns the flow's state."""
    workspace, message = run.workspace, summary.one_line(states)
    summary.print_table(states)
    completed = all(state.is_completed() for state in states.values())
    if any(summary.outcome(state) in ("ran", "failed", "stopped") for state in states.values()):
        _sync_mlflow(run, completed)
    resume = ""
    if workspace.experiment:
        resume = f" The next run with these parameters resumes in {workspace.folder.relative_to(workspace.root)}."
    if run.processes.stopped:
        return Cancelled(message=f"{run.processes.stopped}. {message}{resume}")
    if not completed:
        return Failed(message=message + resume)
    if workspace.experiment:
        workspace.save(list(states), run.processes, run.environment, get_run_logger().info)
        message += f" Saved as the DVC experiment {workspace.experiment}."
    if promote:
        state = task(run.promote, name="promote", task_run_name="promote", cache_policy=NO_CACHE)(return_state=True)
        message += f" promote: {state.message}"
        if not state.is_completed():
            return (Cancelled if state.is_cancelled() else Failed)(message=message + resume)
        message += "."
    if workspace.experiment or run.ran:
        reports = workspace.keep_reports()
        try:
            summary.create_artifacts(workspace.folder, reports, workspace.experiment)
        except Exception as error:  # noqa: BLE001 - the stages have run: artifacts may not fail them
            get_run_logger().warning("artifacts could not be created: %s", error)
    workspace.remove()
    return Completed(message=message)


def _sync_mlflow(run: PipelineRun, completed: bool) -> None:
    """End the pipeline's run in MLflow. The flow does not fail without MLflow."""
    command = [sys.executable, "-m", "gptmill", "sync", *([] if completed else ["--failed"])]
    timeout = MLFLOW_CANCEL_TIMEOUT if run.processes.stopped else MLFLOW_TIMEOUT
    options = {"cwd": run.workspace.folder, "env": run.environment, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, **options, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        get_run_logger().warning("MLflow did not answer in time: run `gptmill sync` later")
        return
    for line in (done.stdout + done.stderr).splitlines():
        get_run_logger().info(line)


def _state(command: list[str], result: ProcessResult, stopped: str, minutes: float | None = None) -> State:
    if not result.code:
        return Completed(message="ran")
    if result.stopped:
        return Cancelled(message=f"ended: {stopped}")
    if result.timed_out:
        reason = f"took longer than {minutes:g} minutes, its limit in dvc.yaml (meta: minutes), and was ended"
        return Failed(name="TimedOut", message=reason)
    reason = summary.failure_reason(result.output) or f"{' '.join(command)} ended with {result.code}"
    return Failed(name=UNAVAILABLE if _printed(result, TRANSIENT) else None, message=reason)


def _printed(result: ProcessResult, text: str) -> bool:
    return any(text in line for line in result.output)


def main(
    targets: Annotated[list[str] | None, typer.Argument(help="stages; default: all")] = None,
    profile: Annotated[str | None, typer.Option(help="a file of profiles/, without .yaml")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="a parameter to change, as in classifier.epochs=3")
    ] = None,
    force: Annotated[bool, typer.Option(help="run every stage, also cached ones")] = False,
    promote: Annotated[bool, typer.Option(help="promote models that are better than the champions")] = False,
) -> None:
    """Run the flow once, here. With a profile or overrides, it runs in a copy that is saved as a DVC experiment."""
    # Closed at Python's exit, after Prefect has sent its last events to the server.
    at_exit = ExitStack()
    atexit.register(at_exit.close)
    signals = at_exit.enter_context(interrupt_on_signals())
    with exit_on_error():
        try:
            check_arguments(Path.cwd(), targets, profile, overrides)
            api.require_server()
            graph.read()  # DVC's errors are one message here, and a traceback within the flow
            at_exit.enter_context(api.server())
            state = pipeline(targets, profile, overrides, force, promote, return_state=True)
        except KeyboardInterrupt:
            raise typer.Exit(128 + signals[0]) from None
    say(state.message or state.name, fg="green" if state.is_completed() else "red")
    if not state.is_completed():
        stopped = signals[0] if signals else signal.SIGINT
        raise typer.Exit(128 + stopped if state.is_cancelled() or signals else 1)


if __name__ == "__main__":
    typer.run(main)
