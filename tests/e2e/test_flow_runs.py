"""Runs of the flow against a real Prefect server, on a graph of five small stages: copies of their own, failure, cancelling, going on."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from gptmill.core.errors import Unavailable

GRAPH = """\
stages:
  source:
    cmd: grep epochs params.yaml > source.txt
    params: [base.epochs, classifier.epochs]
    outs: [source.txt]
  left:
    cmd: python train.py
    deps: [source.txt, train.py]
    params: [instruct.epochs]
    outs: [left.txt]
  right:
    cmd: cat source.txt > right.txt
    deps: [source.txt]
    outs: [right.txt]
  far:
    cmd: >-
      test ! -e "$BROKEN" || (echo "error: far is broken"; exit $(cat "$BROKEN")) && cat right.txt > far.txt
    deps: [right.txt]
    outs: [far.txt]
  end:
    cmd: cat left.txt far.txt > end.txt
    deps: [left.txt, far.txt]
    outs: [end.txt]
"""
# A training with a checkpoint, which takes a second for each epoch above 100.
TRAIN = """\
import pathlib, re, sys, time
epochs = int(re.search(r"^instruct:.*?epochs: (\\\\d+)", pathlib.Path("params.yaml").read_text(), re.M | re.S)[1])
at = pathlib.Path(".gptmill/checkpoint")
done = int(at.read_text()) if at.exists() else 0
print("starts at", done)
try:
    while done < epochs - 100:
        time.sleep(1)
        done += 1
        print("epoch", done)
except KeyboardInterrupt:
    at.parent.mkdir(exist_ok=True)
    at.write_text(str(done))
    sys.exit(130)
pathlib.Path("left.txt").write_text(pathlib.Path("source.txt").read_text() + str(epochs))
""".replace("\\\\", "\\")


@dataclass
class Project:
    folder: Path
    environment: dict[str, str]
    api: str

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-u", "-m", "pipelines.flow", *options]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def flow(self, *options: str) -> "Told":
        return self.told(self.start(*options))

    def told(self, process: subprocess.Popen, before: str = "") -> "Told":
        said = before + process.communicate(timeout=120)[0]
        run = re.search(r"flow-run/([0-9a-f-]{36})", said)[1]
        return Told(process.returncode, said, *self.states(run))

    def cancel(self, said: str) -> None:
        """Cancel a run on the server; `said` is what it has printed so far."""
        run = re.search(r"flow-run/([0-9a-f-]{36})", said)[1]
        answer = httpx.post(f"{self.api}/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}})
        assert answer.json()["status"] == "ACCEPT"

    def states(self, run: str) -> tuple[dict, dict[str, tuple[str, str]]]:
        """The flow's state, and each task's name -> its state's name and message, as the server has them."""
        mine = {"flow_runs": {"id": {"any_": [run]}}}
        for _ in range(50):  # what tasks say reaches the server in its own time
            tasks = httpx.post(f"{self.api}/task_runs/filter", json=mine).json()
            if all(task["state"]["type"] not in ("RUNNING", "SCHEDULED") for task in tasks) and len(tasks) == 5:
                break
            time.sleep(0.1)
        state = httpx.get(f"{self.api}/flow_runs/{run}").json()["state"]
        return state, {task["name"]: (task["state"]["name"], task["state"]["message"] or "") for task in tasks}

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the workspace but the tools' own."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        names = {str(path.relative_to(self.folder)): path for path in files}
        # What runs tell of themselves, MLflow's store among it, is kept in the project wherever they work.
        own = (
            ".git/",
            ".dvc/",
            ".gptmill/",
            ".prefect/",
            "src/",
            "pipelines/",
            "mlflow.db",
            "mlartifacts/",
            ".mlflow.lock",
        )
        return {name: path.read_bytes() for name, path in names.items() if not name.startswith(own)}


def read_until(process: subprocess.Popen, *words: str) -> str:
    """What it prints, up to the line with the last of these words."""
    said = ""
    while not all(word in said for word in words):
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


@dataclass
class Told:
    code: int
    said: str
    state: dict
    tasks: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def project(clone, prefect_server, without_mlflow) -> Project:
    made = clone()
    (made.folder / "dvc.yaml").write_text(GRAPH)
    (made.folder / "train.py").write_text(TRAIN)
    # Nobody's name is known to git: an experiment has to do without.
    home = made.folder.parent / "nobody"
    home.mkdir(exist_ok=True)
    environment = {name: value for name, value in made.environment.items() if not name.startswith("GIT_")}
    environment |= {
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([without_mlflow, made.environment["PYTHONPATH"]]),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PREFECT_API_URL": prefect_server,
        "BROKEN": str(home / "broken"),
    }
    project = Project(made.folder, environment, prefect_server)
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    project.run("git", "init", "-q")
    project.run("git", "add", ".")
    project.run("git", *who, "commit", "-q", "-m", "start")
    first = project.flow()
    assert first.code == 0, first.said
    project.run("git", "add", ".")
    project.run("git", *who, "commit", "-q", "-m", "a run")
    return project


def test_a_forced_run_gives_the_same_hashes_and_finds_no_lock_in_its_way(project):
    before = project.snapshot()
    told = project.flow("--force")
    assert told.code == 0, told.said
    assert {state for state, _ in told.tasks.values()} == {"Completed"}
    assert "ERROR" not in told.said and "is busy" not in told.said
    assert project.snapshot() == before


def test_a_run_without_changes_does_no_work_and_says_so(project):
    told = project.flow()
    assert {state for state, _ in told.tasks.values()} == {"Cached"}
    assert told.state["message"] == "Nothing has changed: all 5 stages are cached."


def test_two_runs_with_overrides_at_once_are_both_right_and_leave_the_workspace_alone(project):
    before = project.snapshot()
    processes = {epochs: project.start("--set", f"base.epochs={epochs}") for epochs in (7, 8)}
    names = {}
    for epochs, process in processes.items():
        told = project.told(process)
        assert told.code == 0, told.said
        names[epochs] = re.search(r"DVC experiment (\S+)\.", told.state["message"])[1]
    assert project.snapshot() == before
    assert project.run("git", "status", "--porcelain") == ""
    listed = project.run("dvc", "exp", "list", "--name-only").split()
    assert set(names.values()) <= set(listed)
    [ref] = project.run("git", "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{names[7]}").split()
    assert "  epochs: 7\n" in project.run("git", "show", f"{ref}:params.yaml")
    try:
        project.run("dvc", "exp", "apply", names[8])
        assert "epochs: 8\n" in (project.folder / "end.txt").read_text()
        assert "  epochs: 8\n" in (project.folder / "params.yaml").read_text()
        assert "up to date" in project.run("dvc", "status")
    finally:
        project.run("git", "checkout", "-q", ".")
        project.run("dvc", "checkout", "-q")
    assert project.snapshot() == before
    assert list((project.folder / ".dvc/tmp/exps").glob("gptmill-*/")) == []


@pytest.mark.parametrize(
    ("options", "waits"), [([], "waits for a `dvc`"), (["--force"], "is busy, it is being blocked by")]
)
def test_a_dvc_that_somebody_started_by_hand_is_waited_for(project, options, waits):
    by_hand = subprocess.Popen(["sleep", "120"])
    file = {"pid": by_hand.pid, "cmd": "dvc repro"}
    place = str(project.folder / "left.txt")
    (project.folder / ".dvc/tmp/rwlock").write_text(json.dumps({"read": {}, "write": {place: file}}))
    try:
        process = project.start(*options)
        said = read_until(process, waits)
    finally:
        by_hand.kill()
        by_hand.wait()
    told = project.told(process, said)
    assert told.code == 0, told.said
    assert {state for state, _ in told.tasks.values()} == {"Completed" if options else "Cached"}


def test_what_failed_is_named_the_rest_is_done_and_the_next_run_goes_on_there(project):
    broken = Path(project.environment["BROKEN"])
    broken.write_text("1")
    try:
        told = project.flow("--set", "base.epochs=9")
    finally:
        broken.unlink()
    assert told.code == 1
    assert told.state["type"] == "FAILED" and told.state["message"].startswith("far failed: far is broken. 5 stages")
    assert told.tasks["far"] == ("Failed", "error: far is broken")
    assert {told.tasks[name][0] for name in ("source", "right", "left")} == {"Completed"}
    assert told.tasks["end"][0] == "NotReady" and "not run: end" in told.state["message"]
    again = project.flow("--set", "base.epochs=9")
    assert again.code == 0, again.said
    assert {name for name, (state, _) in again.tasks.items() if state == "Completed"} == {"far", "end"}


def test_cancelling_ends_the_training_soon_and_the_next_run_goes_on_from_its_checkpoint(project):
    before = project.snapshot()
    process = project.start("--set", "instruct.epochs=112")
    said = read_until(process, "epoch 2")
    training = [
        child for child in psutil.Process(process.pid).children(recursive=True) if "train.py" in child.cmdline()
    ]
    project.cancel(said)
    ended, going_on = psutil.wait_procs(training, timeout=10)  # what the acceptance asks for
    assert ended and not going_on
    told = project.told(process, said)
    assert told.code == 130 and told.state["type"] == "CANCELLED" and "epoch 12" not in told.said
    assert told.tasks["left"][0] == "Cancelled"
    assert told.tasks["end"][0] in (
        "NotReady",
        "Cancelled",
    )  # the server tidies up after a cancelled run, sooner or later
    again = project.flow("--set", "instruct.epochs=112")
    assert again.code == 0, again.said
    last = max(int(number) for number in re.findall(r"epoch (\d+)", told.said))
    assert f"starts at {last}" in again.said
    assert project.snapshot() == before


def test_a_stage_that_takes_too_long_is_ended_and_what_asks_the_network_is_tried_again_until_a_cancel(project):
    graph = (project.folder / "dvc.yaml").read_text()
    limited = graph.replace("    outs: [left.txt]", "    outs: [left.txt]\n    meta: {minutes: 0.03}")
    asking = limited.replace(
        "    outs: [far.txt]", "    outs: [far.txt]\n    meta: {network_unless: {data.source: book}}"
    )
    (project.folder / "dvc.yaml").write_text(asking)
    broken = Path(project.environment["BROKEN"])
    broken.write_text(str(Unavailable.exit_code))
    patient = "import pipelines.flow as f\nf.RETRY_DELAYS = [0.1, 600]\n"
    patient += "f.pipeline(overrides=['instruct.epochs=160'], force=True, return_state=True)"
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # MLflow's, which takes a connection and says nothing
            process = subprocess.Popen(
                [sys.executable, "-u", "-c", patient],
                cwd=project.folder, env=project.environment | {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{silent.getsockname()[1]}"},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            said = read_until(process, "retry in 600 s", "in state TimedOut")
            started = time.monotonic()
            project.cancel(said)
            told = project.told(process, said)
            assert time.monotonic() - started < 40  # neither the pause nor MLflow's is waited for: 600 s and 60 s
    finally:
        broken.unlink()
        (project.folder / "dvc.yaml").write_text(graph)
    assert told.tasks["left"][0] == "TimedOut" and "longer than 0.03 minutes" in told.tasks["left"][1]
    assert "error: far is broken; retry in 0.1 s" in told.said and told.said.count("error: far is broken; retry") == 2
    assert (
        told.state["type"] == "CANCELLED"
        and told.tasks["far"][0] == "Cancelled"
        and told.tasks["right"][0] == "Completed"
    )
