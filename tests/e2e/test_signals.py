"""Acceptance: Ctrl-C, SIGTERM, SIGHUP and SIGKILL, in a terminal: all ends within 10 s, with a checkpoint, and nothing is left running."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from gptmill.commands import servers

GRAPH = """\
stages:
  slow:
    cmd: {python} slow.py
    deps: [slow.py]
    outs: [slow.txt]
"""
# A training in small: what is around it is a stage's own.
SLOW = """\
import pathlib, sys, time
from gptmill.commands import stage_process
from gptmill.runtime.signals import SignalTrap
with stage_process.exclusive("slow"), SignalTrap() as trap:
    print("at work", flush=True)
    while not trap.received:
        time.sleep(0.05)
    pathlib.Path("checkpoint").write_text(trap.received.name)
sys.exit(128 + trap.received)
"""
WITHIN = 10  # seconds


@pytest.fixture
def project(clone, prefect_home):
    project = clone()
    shutil.copytree(prefect_home, project.folder / ".prefect")
    (project.folder / "dvc.yaml").write_text(GRAPH.format(python=sys.executable))
    (project.folder / "slow.py").write_text(SLOW)
    return project


@pytest.fixture
def committed(project):
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        assert project.run("git", *command).returncode == 0
    return project


def signalled(name: str) -> Callable:
    return lambda _, process: process.send_signal(getattr(signal, name))


def twice(terminal, _: psutil.Process) -> None:
    terminal.press_ctrl_c()
    time.sleep(0.5)
    terminal.press_ctrl_c()


WAYS = {
    "Ctrl-C": lambda terminal, _: terminal.press_ctrl_c(),
    "Ctrl-C twice": twice,
    "TERM": signalled("SIGTERM"),
    "KILL": signalled("SIGKILL"),
    "HUP": lambda terminal, _: terminal.close_window(),
}
HOW = [pytest.param(way, id=name) for name, way in WAYS.items()]
SOME = [pytest.param(WAYS[name], id=name) for name in ("Ctrl-C", "KILL")]


def ends(terminal, process: psutil.Process, way: Callable) -> None:
    """Do it to the process; all that was started ends in time, which is longer on a machine that does other things as well."""
    terminal.left()  # all that are there now
    way(terminal, process)
    terminal.await_(lambda: not terminal.left(), WITHIN * max(1, os.getloadavg()[0] / os.cpu_count()))


def checkpoint(project) -> str:
    return (project.folder / "checkpoint").read_text()


# --- a stage ---


@pytest.mark.parametrize("way", SOME)
def test_dvc_and_its_stage_end_together_and_a_training_leaves_its_checkpoint(terminal, committed, way):
    with terminal(committed, "dvc", "repro") as at:
        at.await_(lambda: "at work" in at.printed)
        ends(at, at.job, way)
    assert checkpoint(committed) == ("SIGINT" if way is WAYS["Ctrl-C"] else "SIGTERM")


@pytest.mark.long
@pytest.mark.parametrize("way", HOW)
def test_every_way_to_end_dvc(terminal, committed, way):
    with terminal(committed, "dvc", "repro") as at:
        at.await_(lambda: "at work" in at.printed)
        ends(at, at.job, way)
    assert way is WAYS["Ctrl-C twice"] or checkpoint(committed)


def started(project, **settings: str | None) -> subprocess.Popen:
    """The stage, started by hand."""
    environment = {name: value for name, value in (project.environment | settings).items() if value is not None}
    command = [sys.executable, "slow.py"]
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_stage_waits_for_another_process_that_runs_it_in_the_same_folder(project):
    with started(project) as first:
        assert first.stdout.readline() == "at work\n"
        with started(project) as second:
            assert "waits for another process" in second.stdout.readline()
            first.send_signal(signal.SIGKILL)  # its lock goes with it
            assert second.stdout.readline() == "at work\n"
            second.send_signal(signal.SIGTERM)
    assert second.returncode == 128 + signal.SIGTERM


def test_a_stage_that_nohup_started_by_hand_outlives_its_shell(project):
    command = f"nohup {sys.executable} -u slow.py >out 2>&1 & while ! grep -q work out; do sleep 0.05; done; echo $!; kill -HUP $!"
    done = subprocess.run(
        ["sh", "-c", command], cwd=project.folder, env=project.environment, capture_output=True, text=True, timeout=60
    )
    stage = psutil.Process(int(done.stdout))
    time.sleep(1.5)  # it would have looked for its parent
    assert stage.status() != psutil.STATUS_ZOMBIE
    stage.terminate()
    psutil.wait_procs([stage], timeout=30)
    assert checkpoint(project) == "SIGTERM"


def test_a_stage_whose_dvc_is_gone_before_it_looks_does_not_start(project):
    sleeps = f"sleep 0.3; DVC_STAGE=slow exec {sys.executable} -u slow.py"
    orphan = ["sh", "-c", f"(trap '' HUP; {sleeps}) >out 2>&1 & echo $!"]  # its parent ends at once
    given = dict(cwd=project.folder, env=project.environment, capture_output=True, text=True, timeout=60)
    done = subprocess.run(orphan, **given, start_new_session=True)
    psutil.wait_procs([psutil.Process(int(done.stdout))], timeout=60)
    assert "at work" not in (project.folder / "out").read_text()


# --- the flow, the pages, the schedules ---

FLOW = [sys.executable, "-m", "pipelines.flow"]


def test_ctrl_c_ends_the_flow_and_the_server_that_it_started(terminal, committed):
    with terminal(committed, *FLOW) as at:
        at.await_(lambda: "at work" in at.printed)
        ends(at, at.job, WAYS["Ctrl-C"])
        at.await_(lambda: at.code is not None)
    assert at.code == 130 and "Traceback" not in at.printed
    assert checkpoint(committed) == "SIGINT"


@pytest.fixture
def made(committed, root):
    """The project with the Makefile, whose recipes run in the environment of the tests."""
    text = (root / "Makefile").read_text()
    (committed.folder / "Makefile").write_text(re.sub(r"^(flow|ui):.*", r"\1:", text, flags=re.MULTILINE))
    return committed


@pytest.mark.long
@pytest.mark.parametrize("way", HOW)
@pytest.mark.parametrize("target", ["flow", "ui"])
def test_every_way_to_end_what_make_started(terminal, made, target, way):
    (made.folder / "Makefile").write_text(
        (made.folder / "Makefile").read_text().replace("gptmill up", f"gptmill up --mlflow-port {servers.free_port()} "
                                                       f"--prefect-port {servers.free_port()}")
    )  # fmt: skip
    with terminal(made, "make", target) as at:
        at.await_(lambda: ("at work" if target == "flow" else "Ctrl-C stops both") in at.printed)
        ends(at, at.await_process("-m", f"pipelines.{target}"), way)
        if way in (WAYS["Ctrl-C"], WAYS["Ctrl-C twice"]):
            at.await_(lambda: at.code is not None)
            assert at.code == 130
    assert target == "ui" or checkpoint(made)


@pytest.mark.long
@pytest.mark.parametrize("way", HOW)
def test_every_way_to_end_the_schedules(terminal, committed, prefect_server, api, way):
    given = {"PREFECT_API_URL": prefect_server, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    ask = api(prefect_server)
    with terminal(committed, sys.executable, "-m", "pipelines.deployments", **given) as at:
        serving = at.job
        serving.poll = lambda: at.code
        run = ask.start("gptmill-scheduled/nightly", serving, refresh=False, promote=False)
        try:
            at.await_process("slow.py")
            time.sleep(1)  # until it listens
            ends(at, serving, way)
        finally:
            ask.client.delete(
                f"deployments/{run['deployment_id']}"
            )  # with the slot that a run which was killed still has
    assert checkpoint(committed)


@pytest.mark.long
def test_the_flow_ends_when_its_dvc_is_killed(terminal, committed):
    with terminal(committed, *FLOW) as at:
        at.await_(lambda: "at work" in at.printed)
        ends(at, at.await_process("dvc", "repro"), WAYS["KILL"])
        at.await_(lambda: at.code is not None)
    assert at.code == 1 and checkpoint(committed)
