"""MLflow's server on 127.0.0.1: killed during a training; three DVC experiments; and its page in a browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptmill.commands import servers, stage
from gptmill.registry.log_model import log_to_run
from gptmill.tracking import sync
from gptmill.training import callbacks

RATES = ["0.0005", "0.002", "0.004"]


class Server:
    """MLflow's on a store of its own, which can be killed and started again."""

    def __init__(self, folder: Path, server: servers.Server) -> None:
        self.folder, self.server, self.url = folder, server, server.url
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.server.arguments],
                cwd=self.folder, env=os.environ | self.server.settings, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        servers.await_answer(self.server, self.process)

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_database) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        server = Server(folder, servers.mlflow(servers.free_port()))
    server.start()
    yield server
    server.kill()


def everything(client, run) -> dict:
    """What a run shows, but for ids, times and what depends on the machine."""
    timed = ("seconds", "tokens_per_second")
    names = [name for name in run.data.metrics if not name.startswith("system/") and name not in timed]
    return {
        "params": run.data.params,
        "curves": {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in names
        },
        "inputs": [(given.dataset.name, given.dataset.digest) for given in run.inputs.dataset_inputs],
        "outputs": {tag: value for tag, value in run.data.tags.items() if tag.startswith("output.")},
        "artifacts": sorted(item.path for item in client.list_artifacts(run.info.run_id)),
        "status": run.info.status,
    }


def contents(folder: Path) -> dict[str, bytes]:
    outs = ("models/base", "metrics/pretrain.json", "plots/pretrain.csv")
    found = [
        path for out in outs for path in ([folder / out] if (folder / out).is_file() else (folder / out).rglob("*"))
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_server_killed_in_the_middle_of_a_training_costs_nothing(copy_of_built, built, server, monkeypatch, caplog):
    import mlflow

    for name in ("MAX_RETRIES", "TIMEOUT"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    for out in ("models/base", "metrics/pretrain.json", "plots/pretrain.csv"):
        shutil.rmtree(out) if Path(out).is_dir() else Path(out).unlink()
    log_curve = callbacks.LiveCurve.__call__

    def killing(self, curve) -> None:
        log_curve(self, curve)
        server.kill()

    monkeypatch.setattr(callbacks.LiveCurve, "__call__", killing)
    stage.run("pretrain")
    assert server.process is None and "cannot be reached" in caplog.text
    assert contents(Path()) == contents(built.folder)  # of a run with a server, or a file, that never failed
    stage.run("evaluate_base")
    assert [line.split(" of ")[0] for line in sync.sync(log_to_run).left] == ["pretrain", "evaluate_base"]
    server.start()
    done = sync.sync(log_to_run)
    assert done.left == [] and len(done.sent) == 2
    assert list(Path(".gptmill/journal").glob("*-*")) == []

    client, quiet = mlflow.MlflowClient(server.url), mlflow.MlflowClient(f"sqlite:///{built.folder}/mlflow.db")
    experiment, of_quiet = (one.get_experiment_by_name("gptmill-base").experiment_id for one in (client, quiet))
    late, evaluated = sorted(client.search_runs([experiment]), key=lambda run: run.info.start_time)
    [undisturbed] = [run for run in quiet.search_runs([of_quiet]) if run.info.run_name == "pretrain"]
    assert everything(client, late) == everything(quiet, undisturbed)
    assert late.info.status == "FINISHED"
    [model] = client.search_logged_models([experiment])
    assert (model.name, model.source_run_id, str(model.status)) == ("base", evaluated.info.run_id, "READY")


# --- three experiments ---


@pytest.fixture(scope="module")
def experiments(built, server, root, tmp_path_factory) -> list:
    """The runs of the classifier's experiment after three `dvc exp run -S classifier.learning_rate=…`."""
    import mlflow

    folder = tmp_path_factory.mktemp("experiments")
    shutil.copytree(
        built.folder,
        folder,
        ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*", ".git", ".gptmill"),
        dirs_exist_ok=True,
    )
    for name in ("src", ".dvc/config", ".dvcignore", ".gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, folder / name)
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": server.url, "PYTHONPATH": str(folder / "src"), "DVC_GLOBAL_CONFIG_DIR": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"), "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip
    ignored = (
        "/data/\n/models/\n/plots/\n/reports/\n"  # what DVC's outputs are to git; DVC's own entries come with a run
    )
    (folder / ".gitignore").write_text((folder / ".gitignore").read_text() + ignored)

    def do(*command: str) -> None:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr

    do("git", "init", "-q")
    do("dvc", "commit", "--force", "--quiet")  # what is here is what the stages made
    do("git", "add", ".")
    do("git", "commit", "-q", "-m", "a run")
    for rate in RATES:
        do("dvc", "exp", "run", "-S", f"classifier.learning_rate={rate}", "finetune_classifier")
    do("gptmill", "sync")
    client = mlflow.MlflowClient(server.url)
    return client.search_runs(
        [client.get_experiment_by_name("gptmill-classifier").experiment_id], order_by=["start_time ASC"]
    )


def test_three_experiments_are_three_runs_that_can_be_compared(experiments):
    assert [run.data.params["classifier.learning_rate"] for run in experiments] == [str(float(rate)) for rate in RATES]
    assert {run.info.status for run in experiments} == {"FINISHED"}
    differing = {name for name in experiments[0].data.params if len({run.data.params[name] for run in experiments}) > 1}
    assert differing == {"classifier.learning_rate"}
    assert all({"validation_accuracy", "best_epoch", "validation_loss"} <= set(run.data.metrics) for run in experiments)
    assert len({run.data.tags["output.models/classifier"] for run in experiments}) == 3
    assert len({run.data.tags["dvc.experiment"] for run in experiments}) == 3  # as DVC named them


def test_each_experiment_is_a_pipeline_run_of_its_own_that_ended(experiments, server):
    import mlflow

    client = mlflow.MlflowClient(server.url)
    parents = [client.get_run(run.data.tags["mlflow.parentRunId"]) for run in experiments]
    assert len({parent.info.run_id for parent in parents}) == 3
    assert {parent.info.status for parent in parents} == {"FINISHED"}
    assert [parent.info.run_name for parent in parents] == [run.data.tags["dvc.experiment"] for run in experiments]
    assert [parent.data.tags["ran.finetune_classifier"] for parent in parents] == [
        run.info.run_id for run in experiments
    ]


def test_mlflows_page_compares_them(experiments, server, browser, tmp_path):
    runs, ids = json.dumps([run.info.run_id for run in experiments]), json.dumps([experiments[0].info.experiment_id])
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    page.goto(f"{server.url}/#/compare-runs?runs={runs}&experiments={ids}&workflowType=machine_learning")
    page.get_by_text("Comparing 3 Runs").first.wait_for(timeout=60_000)
    page.get_by_text("classifier.learning_rate").first.wait_for(timeout=60_000)
    text = page.inner_text("body")
    assert all(run.info.run_name in text for run in experiments)
    assert "validation_accuracy" in text and "compute.threads" in text
    page.get_by_text("Visualizations").first.click()  # away with it, so that the tables are in the picture
    for switch in page.get_by_text("Show diff only").all():
        switch.click()
    page.get_by_text("compute.threads").first.wait_for(state="detached")
    text = page.inner_text("body")
    assert re.search(r"classifier\.learning_rate\s+0\.004\s+0\.002\s+0\.0005", text) or re.search(
        r"classifier\.learning_rate\s+0\.0005\s+0\.002\s+0\.004", text
    )
    assert "validation_accuracy" in text
    shot = Path(os.environ.get("GPTMILL_SCREENSHOTS") or tmp_path) / "mlflow-compare.png"
    page.screenshot(path=shot)
    assert shot.stat().st_size > 20_000
    page.close()
