"""Pipeline runs: which one a stage belongs to, how it ends, and which run is behind each stage's outputs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from gptmill import cli, tracking
from gptmill.registry.log_model import log_to_run
from gptmill.tracking import parent_runs, sync

GRAPH = """
stages:
  pretrain:
    cmd: gptmill stage pretrain
    outs: [models/base]
    metrics:
      - metrics/pretrain.json: {cache: false}
  judge_responses:
    cmd: gptmill stage judge_responses
    outs: [reports/judgements.jsonl]
"""


@pytest.fixture
def project(store) -> Path:
    Path("dvc.yaml").write_text(GRAPH)
    return Path()


def write(*outputs: str, text: str) -> None:
    for output in map(Path, outputs):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text)


def pretrain(text: str) -> None:
    with tracking.run("pretrain", {"seed": 1}, []):
        write("models/base/model.safetensors", "models/base/config.json", "metrics/pretrain.json", text=text)


def judge(text: str) -> None:
    with tracking.run("judge_responses", {}, []):
        write("reports/judgements.jsonl", text=text)


def lock() -> None:
    """dvc.lock for the outputs that there are now, by DVC itself."""
    from dvc.repo import Repo

    Path(".dvc").mkdir(exist_ok=True)
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    with Repo() as repo:
        for stage in repo.index.stages:
            for out in stage.outs:
                out.save()
            stage.dump(update_pipeline=False)


def run_sync(*options: str) -> str:
    result = CliRunner().invoke(cli.app, ["sync", *options])
    assert result.exit_code == 0, result.output
    return result.output


def stages_of(store, run) -> dict[str, tuple[str, str]]:
    """Stage -> how, and the run behind it, as the file among the pipeline run's artifacts says."""
    import mlflow

    rows = json.loads(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/stages.json"))
    return {row["stage"]: (row["how"], row["run_id"]) for row in rows}


def test_stages_are_nested_in_the_run_that_the_environment_names(project, store, monkeypatch):
    monkeypatch.setenv("GPTMILL_RUN", "flow/7")
    pretrain("a")
    judge("a")
    [parent] = store.pipelines()
    assert parent.info.status == "RUNNING" and parent.info.run_name == "flow/7"
    assert {run.data.tags["mlflow.parentRunId"] for run in store.runs()} == {parent.info.run_id}
    lock()
    assert parent.info.run_id in run_sync()
    [parent] = store.pipelines()
    judged, trained = (run.info.run_id for run in store.runs())
    assert parent.info.status == "FINISHED"
    assert stages_of(store, parent) == {"pretrain": ("ran", trained), "judge_responses": ("ran", judged)}


def test_a_stage_from_the_cache_is_linked_to_the_run_that_made_these_bytes(project, store, monkeypatch):
    for number, text in enumerate("abc"):
        monkeypatch.setenv("GPTMILL_RUN", f"run-{number}")
        pretrain(text)
        judge(text)
        lock()
        run_sync()
    pretrained = {
        run.data.tags["output.models/base"]: run.info.run_id for run in store.runs() if run.info.run_name == "pretrain"
    }
    assert len(pretrained) == 3
    # As DVC does when params go back to what they were: the outputs are put back, and nothing runs but what is new.
    monkeypatch.setenv("GPTMILL_RUN", "back")
    write("models/base/model.safetensors", "models/base/config.json", "metrics/pretrain.json", text="a")
    judge("new")
    lock()
    run_sync()
    back, *_, first = store.pipelines()
    made = stages_of(store, first)["pretrain"][1]
    assert stages_of(store, back)["pretrain"] == ("cached", made)
    assert back.data.tags["cached.pretrain"] == made and "ran.judge_responses" in back.data.tags
    assert f"[{made[:8]}](#/experiments/" in back.data.tags["mlflow.note.content"]


def test_a_run_in_which_everything_was_cached_links_everything(project, store, monkeypatch):
    pretrain("a")
    judge("a")
    lock()
    monkeypatch.setenv("GPTMILL_RUN", "again")
    run_sync()
    [parent] = store.pipelines()
    judged, trained = (run.info.run_id for run in store.runs())
    assert stages_of(store, parent) == {"pretrain": ("cached", trained), "judge_responses": ("cached", judged)}
    assert not any("mlflow.parentRunId" in run.data.tags for run in store.runs())  # run by hand: no parents


def test_outputs_that_no_run_made_are_said_to_be_of_none(project, store, monkeypatch):
    write("models/base/config.json", "metrics/pretrain.json", "reports/judgements.jsonl", text="from a colleague")
    lock()
    monkeypatch.setenv("GPTMILL_RUN", "cloned")
    run_sync()
    assert stages_of(store, store.pipelines()[0]) == {"pretrain": ("cached", ""), "judge_responses": ("cached", "")}


def test_a_run_that_failed_is_a_failed_one(project, store, monkeypatch):
    monkeypatch.setenv("GPTMILL_RUN", "bad")
    pretrain("a")
    run_sync("--failed")
    assert store.pipelines()[0].info.status == "FAILED"


def test_it_ends_later_when_there_was_no_server(project, store, monkeypatch):
    monkeypatch.setenv("GPTMILL_RUN", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    pretrain("a")
    result = CliRunner().invoke(cli.app, ["sync"])
    assert result.exit_code == 1 and result.output.count("left") == 2
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.delenv("GPTMILL_RUN")
    run_sync()
    [parent], [run] = store.pipelines(), store.runs()
    assert parent.info.status == run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.info.start_time <= run.info.start_time <= run.info.end_time <= parent.info.end_time
    assert list(Path(".gptmill/runs").glob("*.json")) == []


# A `dvc` that starts a program, as DVC starts a stage: through a shell.
DVC = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1], shell=True).returncode)"


def test_without_a_name_the_dvc_process_makes_the_run_and_its_end_ends_it(project, store):
    program = "import time; from gptmill.tracking import parent_runs; print(parent_runs.current(), flush=True); time.sleep({})"
    (Path("dvc")).write_text(DVC)
    stage = f"{sys.executable} -c '{program.format(0)}'"
    command = [sys.executable, "dvc", f"{stage} & {stage} & wait; {sys.executable} -c 'input()'"]
    environment = {name: value for name, value in os.environ.items() if name != "GPTMILL_RUN"}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dvc:
        keys = [dvc.stdout.readline().strip() for _ in range(2)]
        assert keys[0] == keys[1] and re.fullmatch(rf"dvc-{dvc.pid}-\d+", keys[0])
        assert parent_runs.ended() == []
        dvc.communicate("\n")
    assert [record["key"] for record in parent_runs.ended()] == [keys[0]]
    assert parent_runs.current() == ""  # this process descends from no DVC
    assert len(sync.sync(log_to_run).sent) == 1
    assert store.pipelines()[0].info.status == "FINISHED" and parent_runs.ended() == []


def test_a_run_that_ended_without_a_word_is_ended_by_the_next_stage(project, store, monkeypatch):
    monkeypatch.setattr(parent_runs, "_dvc", lambda: (2**22 + 1, 5.0))  # no process has this id
    pretrain("a")
    with pytest.raises(ZeroDivisionError), tracking.run("judge_responses", {}, []):
        raise ZeroDivisionError
    monkeypatch.setattr(parent_runs, "_dvc", lambda: (os.getpid(), psutil.Process().create_time()))
    pretrain("b")
    now, before = store.pipelines()
    assert (now.info.status, before.info.status) == ("RUNNING", "FAILED")
