import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gptmill import files, params, paths, tracking
from gptmill.errors import Interrupted
from gptmill.serving import TextClassifier

TRAINED = ["pretrain", "finetune_classifier", "finetune_instruct"]
INPUTS = {
    "pretrain": [paths.TOKENS / "train.bin", paths.TOKENS / "validation.bin"],
    "finetune_classifier": [paths.SPAM_SPLITS / f"{name}.parquet" for name in ("train", "validation", "test", "natural")],
    "finetune_instruct": [paths.INSTRUCTION_SPLITS / f"{name}.jsonl" for name in ("train", "validation")],
    "judge_responses": [paths.RESPONSES],
}


@pytest.fixture(scope="module")
def client(built):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{built.folder}/mlflow.db")


@pytest.fixture(scope="module")
def runs(client) -> dict:
    """The runs that the graph left behind, by stage."""
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return {run.data.tags["dvc.stage"]: run for run in client.search_runs([experiment.experiment_id])}


@pytest.fixture
def store(built, tmp_path, monkeypatch) -> str:
    """A store of its own in a working folder of its own; copied, because building its tables takes long."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(built.folder / "mlflow.db", tmp_path / "own.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/own.db")
    return f"sqlite:///{tmp_path}/own.db"


def latest(store: str):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    return client.search_runs([client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id], order_by=["start_time DESC"])[0]


def test_each_training_and_judging_stage_is_a_run_that_ended_well(runs):
    assert set(runs) == set(INPUTS)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {run.info.run_name for run in runs.values()} == set(INPUTS)


def test_a_run_has_the_params_that_the_stage_read(runs, built):
    known = {key: str(value) for key, value, _ in params.describe(params.load(built.folder / "params.yaml"))}
    for stage, run in runs.items():
        assert {key: value for key, value in run.data.params.items() if known.get(key, value) != value} == {}
        # What decides the outputs is in the run: every key that the stage read itself.
        assert {key for key in built.read[stage] if key in known} <= set(run.data.params)


def test_a_run_knows_its_commit(runs, built):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=built.folder, capture_output=True, text=True, check=True).stdout.strip()
    for run in runs.values():
        assert run.data.tags["mlflow.source.git.commit"] == commit
        assert run.data.tags["git.dirty"] == "false"


def test_a_run_has_its_inputs_by_the_hash_that_dvc_knows_them_by(runs, built):
    for stage, run in runs.items():
        found = {inputs.dataset.name: inputs.dataset.digest for inputs in run.inputs.dataset_inputs}
        assert found == {str(path): files.digest(built.folder / path, "md5") for path in INPUTS[stage]}


@pytest.mark.parametrize(("stage", "file"), [("pretrain", "pretrain"), ("finetune_instruct", "instruct"), ("judge_responses", "judge")])
def test_a_run_has_the_figures_of_the_metrics_file(runs, built, stage, file):
    metrics = {name: value for name, value in files.read_json(built.folder / paths.METRICS / f"{file}.json").items() if name != "judge"}
    if stage == "finetune_instruct" or stage == "pretrain":
        assert runs[stage].data.metrics["seconds"] > 0  # a time: here, and in no tracked output
    for name, value in metrics.items():
        assert runs[stage].data.metrics[name] == pytest.approx(value, rel=1e-3), name


def test_the_classifiers_run_has_both_models_figures(runs, built):
    metrics = files.read_json(built.folder / paths.METRICS / "classifier.json")
    logged = runs["finetune_classifier"].data.metrics
    assert logged["test_accuracy"] == metrics["test"]["accuracy"]
    assert logged["tfidf_f1"] == metrics["tfidf"]["f1"]


@pytest.mark.parametrize(
    ("stage", "plot"), [("pretrain", "pretrain"), ("finetune_classifier", "classifier"), ("finetune_instruct", "instruct")]
)
def test_a_run_has_the_curve(client, runs, built, stage, plot):
    rows = [line.split(",") for line in (built.folder / paths.PLOTS / f"{plot}.csv").read_text().splitlines()]
    at = rows[0].index("validation_loss")
    points = {point.step: point.value for point in client.get_metric_history(runs[stage].info.run_id, "validation_loss")}
    for row in rows[1:]:
        assert points[int(row[0])] == pytest.approx(float(row[at]), rel=1e-3)


def test_judgements_are_an_artifact(client, runs):
    assert [item.path for item in client.list_artifacts(runs["judge_responses"].info.run_id)] == ["judgements.jsonl"]


@pytest.mark.parametrize(("stage", "plot"), [("pretrain", "pretrain"), ("finetune_instruct", "instruct")])
def test_a_language_models_run_has_what_it_said_at_each_evaluation(client, runs, built, stage, plot):
    import mlflow

    text = mlflow.artifacts.load_text(f"{runs[stage].info.artifact_uri}/samples.txt")
    steps = [row.split(",")[0] for row in (built.folder / paths.PLOTS / f"{plot}.csv").read_text().splitlines()[1:]]
    assert [line.split(":")[0] for line in text.splitlines()] == [f"step {step}" for step in steps]


def test_artifacts_stay_in_the_project(client, runs, built):
    for run in runs.values():
        assert Path(run.info.artifact_uri.removeprefix("file://")).is_relative_to(built.folder)


# Nothing may be imported but what the models' own requirements bring: as in an environment that has only them.
PROGRAM = """
import json, re, sys
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

folders, answers = json.loads(sys.argv[1]), {}
files = [Path(folder.removeprefix("file://")) / "requirements.txt" for folder in folders.values()]
wanted = [line for file in files for line in file.read_text().split()]
allowed, todo = set(), [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in wanted if line]
while todo:
    if (name := re.sub(r"[-_.]+", "-", todo.pop()).lower()) not in allowed:
        allowed.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        todo += [re.split(r"[^A-Za-z0-9._-]", need)[0] for need in needs if "extra ==" not in need]
owners = {name: {re.sub(r"[-_.]+", "-", owner).lower() for owner in found} for name, found in metadata.packages_distributions().items()}

class Only(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        absent = "." not in name and name != "gptmill" and name in owners and not owners[name] & allowed
        return None if absent else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Only
assert "mlflow" in allowed and "dvc" not in allowed and "prefect" not in allowed
import mlflow, pandas as pd
for name, folder in folders.items():
    model = mlflow.pyfunc.load_model(folder)
    import gptmill
    rows = model.predict(pd.DataFrame({"text": sys.argv[2:]}))
    answers[name] = {"columns": list(rows.columns), "code": gptmill.__file__, "rows": rows.values.tolist()}
print("ANSWERS" + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def served(client, runs, tmp_path_factory) -> dict:
    """What the logged models answer in a Python of their own, far from the project."""
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    folders = {model.name: model.artifact_location for model in client.search_logged_models([experiment.experiment_id])}
    command = [sys.executable, "-c", PROGRAM, json.dumps(folders), "Claim your prize", "see you"]
    done = subprocess.run(command, cwd=tmp_path_factory.mktemp("far"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("ANSWERS")[2])


def test_the_logged_classifier_answers_as_ours_does(served, in_built):
    expected = TextClassifier(paths.CLASSIFIER_MODEL).classify(["Claim your prize", "see you"])
    assert served["classifier"]["columns"] == ["label", "probability", "probabilities"]
    for (label, probability, every), (ours, how_sure) in zip(served["classifier"]["rows"], expected, strict=True):
        assert (label, probability) == (ours, pytest.approx(how_sure, abs=1e-4))
        assert set(every) == {"ham", "spam"} and sum(every.values()) == pytest.approx(1) and every[label] == probability


def test_the_logged_language_models_answer_with_text(served, in_built):
    from gptmill.serving import Assistant

    assert served["base"]["columns"] == served["instruct"]["columns"] == ["text"]
    assert [row[0].startswith(prompt) for row, prompt in zip(served["base"]["rows"], ["Claim your prize", "see you"], strict=True)] == [
        True
    ] * 2
    assert served["instruct"]["rows"] == [[Assistant(paths.INSTRUCT_MODEL).answer(text)] for text in ("Claim your prize", "see you")]


def test_a_logged_model_brings_its_own_code_and_nothing_pickled(served, client, runs):
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    for model in client.search_logged_models([experiment.experiment_id]):
        folder = Path(model.artifact_location.removeprefix("file://"))
        assert (folder / "code" / "gptmill" / "serving.py").exists()
        assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".bin")]
        assert "torch==" in (folder / "requirements.txt").read_text()
    assert {Path(answer["code"]).parts[-3:] for answer in served.values()} == {("code", "gptmill", "__init__.py")}


def test_a_block_that_raises_makes_the_run_a_failed_one_and_raises(store):
    with pytest.raises(ZeroDivisionError), tracking.run("pretrain", {"seed": 1}, []) as run:
        run.metrics({"loss": 1.0})
        raise ZeroDivisionError
    assert latest(store).info.status == "FAILED"


def test_a_training_that_is_asked_to_stop_makes_the_run_a_killed_one(store):
    with pytest.raises(Interrupted), tracking.run("pretrain", {"seed": 1}, []):
        raise Interrupted("stopped", signal.SIGINT)
    assert latest(store).info.status == "KILLED"


def test_a_long_curve_is_taken_whole_in_few_calls(store, monkeypatch):
    from mlflow import MlflowClient

    calls, log_batch = [], MlflowClient.log_batch

    def counted(client, run_id, metrics=(), **more):
        calls.append(len(metrics))
        return log_batch(client, run_id, metrics, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    with tracking.run("pretrain", {"seed": 1}, []) as run:
        run.curve([(step, {"loss": step / 2, "rate": 0.5}) for step in range(700)])
        run.curve([])
    assert sorted(calls)[-3:] == [0, 400, 1000]  # with what is no metric in calls of its own
    history = MlflowClient(tracking_uri=store).get_metric_history(latest(store).info.run_id, "loss")
    assert {point.step: point.value for point in history} == {step: step / 2 for step in range(700)}


def test_sections_become_dotted_params(store, project):
    values = params.load(project / "params.yaml")
    with tracking.run("pretrain", {"seed": 5, "judge": values.judge}, []):
        pass
    found = latest(store).data.params
    assert found["seed"] == "5" and found["judge.concurrency"] == "4" and len(found) == 7


def test_what_mlflow_does_not_take_stops_nothing(store, caplog):
    with tracking.run("pretrain", {"seed": 1}, [Path("not/here.bin")]) as run:
        run.artifact(Path("not/here.txt"))
        run.model(Path("not/here"), "generate")
        run.metrics({"loss": 2.0})
    assert latest(store).info.status == "FINISHED" and latest(store).data.metrics == {"loss": 2.0}
    assert caplog.text.count("MLflow did not take") == 3


def test_outside_of_a_repository_a_run_has_no_commit(store):
    with tracking.run("pretrain", {}, []):
        pass
    assert "git.dirty" not in latest(store).data.tags


@pytest.fixture
def dead_server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"TRACKING_URI": "http://127.0.0.1:9", "HTTP_REQUEST_MAX_RETRIES": "0", "HTTP_REQUEST_TIMEOUT": "2"}.items():
        monkeypatch.setenv(f"MLFLOW_{name}", value)


def test_a_server_that_is_dead_stops_nothing_and_is_told_of(dead_server, caplog, tmp_path):
    (tmp_path / "a").write_text("x")
    done = []
    with tracking.run("pretrain", {"seed": 1}, [tmp_path / "a"]) as run:
        run.metrics({"loss": 1.0})
        run.curve([(3, {"loss": 1.0})])
        run.text("a.txt", "x")
        run.artifact(tmp_path / "a")
        run.model(tmp_path, "generate")
        done.append(True)
    assert done == [True]
    assert "MLflow cannot be reached, this run is not tracked" in caplog.text


def test_an_error_of_the_block_is_raised_though_the_server_is_dead(dead_server):
    with pytest.raises(ZeroDivisionError), tracking.run("pretrain", {"seed": 1}, []):
        raise ZeroDivisionError


def test_a_store_that_breaks_in_the_middle_stops_nothing(store, caplog):
    done = []
    with tracking.run("pretrain", {"seed": 1}, []) as run:
        with sqlite3.connect(store.removeprefix("sqlite:///")) as database:
            database.execute("ALTER TABLE runs RENAME TO gone")
        run.metrics({"loss": 1.0})
        done.append(True)
    assert done == [True]
    assert "MLflow did not take" in caplog.text
    import mlflow

    assert mlflow.active_run() is None  # or the next stage in this process would be nested in it
