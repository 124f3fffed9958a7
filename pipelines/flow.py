"""The Prefect flow: one task run for each stage of dvc.yaml, branches side by side, cached stages shown as cached.

python -m pipelines.flow                                     # starts a server of its own, unless PREFECT_API_URL names one
python -m pipelines.flow report --force                      # some stages and what they depend on; cached or not
python -m pipelines.flow --profile mini --set base.epochs=2  # in a copy of its own, saved as a DVC experiment
"""

import atexit
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
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
from gptmill.commands.watchdog import ended_by_signals
from gptmill.config.schema import Params
from gptmill.core import paths
from gptmill.core.errors import Unavailable
from gptmill.core.terminal import escape_controls, exit_on_error, say
from gptmill.ingest import refresh
from pipelines import api, graph, summary, workspace
from pipelines.processes import Processes, ProcessResult, Stopped
from pipelines.workspace import Workspace

SIDE_BY_SIDE = 4  # stages at once; each may use all cores, so more would only make them wait for one another
PAUSES = [10, 60, 240]  # seconds before a stage that asks the network is tried again
# What DVC says of a stage that it did not have to run.
UNCHANGED, FROM_CACHE = "didn't change, skipping", "is cached - skipping run"
BUSY = "is busy, it is being blocked by"  # and of files that a `dvc` which somebody started by hand is at work on
BUSY_PAUSE = 2.0  # seconds before it is asked again
AGAIN = f"exited with {Unavailable.exit_code}"
UNAVAILABLE = "Unavailable"  # the name of the state of a stage that another try may help
BY_HAND = "Ctrl-C was pressed"
REFUSED = 3  # the exit code of `gptmill promote` when a model is not better
MLFLOW_PATIENCE = 60  # seconds for MLflow to be told that the run is over
# When somebody waits for a cancelled run to end: enough to note that it is over, which the next run or `gptmill sync` tells.
MLFLOW_HASTE = 2


class PipelineRun:
    """One run: where it works, what it has started, and which stages have run in it."""

    def __init__(self, place: Workspace, processes: Processes, force: bool) -> None:
        self.place, self.processes, self.force = place, processes, force
        self.environment = place.environment(str(flow_run.id))
        self.ran: set[str] = set()  # or were taken from DVC's cache: their outputs are others than before
        self._turns = threading.Semaphore(SIDE_BY_SIDE)

    def task(self, stage: graph.Stage, values: Params) -> Task:
        """The Prefect task of one stage. Its state says whether it ran, was cached, was stopped, or failed and why."""
        pauses = PAUSES if stage.asks_the_network(values) else []
        options = {
            "name": stage.name,
            "task_run_name": stage.name,
            "description": stage.description,
            "cache_policy": NO_CACHE,
        }
        return task(lambda: self._tried(stage, pauses), **options)

    def _tried(self, stage: graph.Stage, pauses: Sequence[float]) -> State:
        """The state in which the stage ended: the last one, if what it asked did not answer, and it was run again after each pause.

        Prefect's own retries sleep through a cancel.
        """
        for pause in pauses:
            state = self._stage(stage)
            if state.name != UNAVAILABLE:
                return state
            get_run_logger().warning("%s; tried again in %g s", state.message, pause)
            self.processes.pause(pause)
        return self._stage(stage)

    def _stage(self, stage: graph.Stage) -> State:
        # DVC has been asked before the first task, once for all stages. Its answer holds unless something above the stage has run since.
        if stage.up_to_date and not self.force and self.ran.isdisjoint(stage.upstream):
            return Completed(name="Cached", message="nothing that it reads has changed")
        command = ["dvc", "--wait-for-lock", "repro", "--single-item", *(["--force"] if self.force else []), stage.name]
        with self._turns:
            ended, said = self._run(command, stage.minutes)
            while ended.code and any(BUSY in line for line in said) and not self.processes.stopped:
                self.processes.pause(BUSY_PAUSE)
                ended, said = self._run(command, stage.minutes)
        if not ended.code and any(UNCHANGED in line for line in said):
            return Completed(name="Cached", message="nothing that it reads has changed")
        self.ran.add(stage.name)
        if not ended.code and any(FROM_CACHE in line for line in said):
            return Completed(
                name="Cached", message="an earlier run read the same: its outputs were taken from DVC's cache"
            )
        return _state(command, ended, said, self.processes.stopped, stage.minutes)

    def promote(self) -> State:
        """`gptmill promote`, as a process. That no model is better is no failure."""
        command = ["gptmill", "promote"]
        ended, said = self._run(command)
        if ended.code == REFUSED:
            return Completed(
                name="Refused", message="not every new model is surely better than its champion, which stays"
            )
        return _state(command, ended, said, self.processes.stopped)

    def _run(self, command: list[str], minutes: float | None = None) -> tuple[ProcessResult, deque[str]]:
        """Run `python -m` with that command where the run works; what it prints is the task's log. How it ended, and the last lines."""
        logger = get_run_logger()
        said: deque[str] = deque(maxlen=200)

        def say(line: str) -> None:
            line = escape_controls(line)  # DVC quotes file names
            said.append(line)
            logger.info(line)

        seconds = minutes * 60 if minutes else None
        return self.processes.run(
            [sys.executable, "-m", *command], self.place.folder, self.environment, say, seconds
        ), said


@flow(name="gptmill", task_runner=ThreadPoolTaskRunner(), validate_parameters=True)
def pipeline(
    targets: list[str] | None = None,
    profile: str | None = None,
    overrides: list[str] | None = None,
    force: bool = False,
    promote: bool = False,
) -> State:
    """The stages of dvc.yaml, each as soon as what it reads is there. A stage that fails stops only what depends on it.

    Args:
        targets: Names of stages: they run, and what they depend on. None: all stages.
        profile: The name of a file in profiles/, without .yaml, to take the parameters from.
        overrides: Parameters to change, as in classifier.epochs=3. A run with overrides or a profile works in a copy of its own.
        force: Run every stage, changed or not.
        promote: At the end, let the new models take the champions' place where they are better.
    """
    root = Path.cwd()
    text = checked(root, targets, profile, overrides)  # what is wrong stops the flow before any stage
    say = get_run_logger().info
    runs = {flow_run.id, flow_run.root_flow_run_id or flow_run.id}
    with Processes() as processes, api.watched(runs, lambda: processes.stop("the run was cancelled")):
        if profile is None and not overrides:
            where = workspace.workspace(root, processes, say)
        else:
            where = workspace.copy(
                root, refresh.with_pinned_hashes(text), "-".join([profile or "", *(overrides or [])]), processes, say
            )
        try:
            with where as place:
                if not place.experiment:
                    for line in refresh.refresh_local(config.load()):
                        say(line)
                work = PipelineRun(place, processes, force)
                stages = graph.needed(_read(place, processes, say, check=not force), targets or [])
                states = _run(work, stages)
                return _conclude(work, states, promote)
        except Stopped:
            return Cancelled(message=processes.stopped)
        except KeyboardInterrupt:
            return Cancelled(message=BY_HAND)


def _read(place: Workspace, processes: Processes, say: Callable[[str], None], *, check: bool) -> list[graph.Stage]:
    """The stages, as soon as DVC can tell. Raises `Stopped` when the run is stopped while it waits."""
    waits = False
    while True:
        try:
            return graph.read(str(place.folder), check=check)
        except graph.Busy:
            if not waits:
                say("waits for a `dvc` that was started by hand, and is at work on the same files")
            waits = True
            processes.pause(BUSY_PAUSE)
            processes.check()


def checked(root: Path, targets: list[str] | None, profile: str | None, overrides: list[str] | None) -> str:
    """The text of params.yaml for these parameters of the flow. Raises `GptmillError` that names what is wrong with one of them."""
    text = workspace.parameters(root, profile, overrides or [])
    refresh.check_local(config.parse(text))
    if targets:
        graph.needed(graph.read(str(root)), targets)
    return text


def _run(work: PipelineRun, stages: list[graph.Stage]) -> dict[str, State]:
    """The state in which each stage ended."""
    values = config.load(work.place.folder / paths.PARAMS)
    futures: dict[str, PrefectFuture] = {}
    for stage in stages:
        futures[stage.name] = work.task(stage, values).submit(wait_for=[futures[name] for name in stage.upstream])
    try:
        wait(list(futures.values()))
    except KeyboardInterrupt:
        work.processes.stop(BY_HAND)
        wait(list(futures.values()))
    return {name: future.state for name, future in futures.items()}


def _conclude(work: PipelineRun, states: dict[str, State], promote: bool) -> State:
    """Save, promote and tell what there is to tell; the flow's own state."""
    place, told = work.place, summary.summary(states)
    summary.show(states)
    done = all(state.is_completed() for state in states.values())
    if any(summary.kind(state) in ("ran", "failed", "stopped") for state in states.values()):
        _tell_mlflow(work, done)
    unfinished = (
        f" The next run with these parameters goes on in {place.folder.relative_to(place.root)}."
        if place.experiment
        else ""
    )
    if work.processes.stopped:
        return Cancelled(message=f"{work.processes.stopped}. {told}{unfinished}")
    if not done:
        return Failed(message=told + unfinished)
    if place.experiment:
        workspace.save(place, list(states), work.processes, work.environment, get_run_logger().info)
        told += f" Saved as the DVC experiment {place.experiment}."
    if promote:
        state = task(work.promote, name="promote", task_run_name="promote", cache_policy=NO_CACHE)(return_state=True)
        told += f" promote: {state.message}." if state.is_completed() else ""
        if not state.is_completed():
            ended = Cancelled if state.is_cancelled() else Failed
            return ended(message=f"{told} promote: {state.message}{unfinished}")
    if place.experiment or work.ran:
        pages = workspace.keep(place)
        try:
            summary.publish(place.folder, pages, place.experiment)
        except Exception as error:  # noqa: BLE001 - the stages are done: what is told about them may not undo that
            get_run_logger().warning("the artifacts could not be made: %s", error)
    workspace.remove(place)
    return Completed(message=told)


def _tell_mlflow(work: PipelineRun, done: bool) -> None:
    """The pipeline's run in MLflow is over. Nothing of the flow depends on MLflow's being there."""
    command = [sys.executable, "-m", "gptmill", "sync", *([] if done else ["--failed"])]
    seconds = MLFLOW_HASTE if work.processes.stopped else MLFLOW_PATIENCE
    try:
        ended = subprocess.run(
            command,
            cwd=work.place.folder,
            env=work.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        get_run_logger().warning("MLflow did not answer in time: `gptmill sync` tells it later")
        return
    for line in (ended.stdout + ended.stderr).splitlines():
        get_run_logger().info(line)


def _state(
    command: list[str], ended: ProcessResult, said: deque[str], stopped: str, minutes: float | None = None
) -> State:
    if not ended.code:
        return Completed(message="ran")
    if ended.stopped:
        return Cancelled(message=f"ended: {stopped}")
    if ended.too_long:
        why = f"took longer than the {minutes:g} minutes that dvc.yaml gives it (meta: minutes), and was ended"
        return Failed(name="TimedOut", message=why)
    why = summary.reason(said) or f"{' '.join(command)} ended with {ended.code}"
    return Failed(name=UNAVAILABLE, message=why) if any(AGAIN in line for line in said) else Failed(message=why)


def main(
    targets: Annotated[list[str] | None, typer.Argument(help="stages; without any, all")] = None,
    profile: Annotated[str | None, typer.Option(help="the name of a file in profiles/, without .yaml")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="a parameter to change, as in classifier.epochs=3")
    ] = None,
    force: Annotated[bool, typer.Option(help="run every stage, cached or not")] = False,
    promote: Annotated[bool, typer.Option(help="let models that are better take the champions' place")] = False,
) -> None:
    """Run the flow once, here. With a profile or parameters to change, in a copy of its own that is saved as a DVC experiment."""
    # Until the end of this Python: what Prefect has still to tell its server then, it tells in its last moment.
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    signals = until_the_end.enter_context(ended_by_signals())
    with exit_on_error():
        try:
            checked(Path.cwd(), targets, profile, overrides)
            api.require_server()
            graph.read()  # what DVC can't read is one message here, and a traceback within the flow
            until_the_end.enter_context(api.server())
            state = pipeline(targets, profile, overrides, force, promote, return_state=True)
        except KeyboardInterrupt:
            raise typer.Exit(128 + signals[0]) from None
    say(state.message or state.name, fg="green" if state.is_completed() else "red")
    if not state.is_completed():
        stopped = signals[0] if signals else signal.SIGINT
        raise typer.Exit(128 + stopped if state.is_cancelled() or signals else 1)


if __name__ == "__main__":
    typer.run(main)
