import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gptmill import config, tracking
from gptmill.core import files, paths
from gptmill.core.errors import Interrupted
from gptmill.inference.models import TextClassifier
from gptmill.registry.log_model import log_to_run
from gptmill.tracking import sync

TRAINED = ["pretrain", "finetune_classifier", "finetune_instruct"]
MODELS = [paths.BASE_MODEL, paths.TOKENIZER]
INPUTS = {
    "pretrain": [paths.TOKENS, paths.TOKENIZER],
    "evaluate_base": [paths.BASE_MODEL, paths.TOKENS],
    "finetune_classifier": [*(paths.SPAM_SPLITS / f"{name}.parquet" for name in ("train", "validation")), *MODELS],
    "evaluate_classifier": [
        paths.CLASSIFIER_MODEL,
        *(paths.SPAM_SPLITS / f"{name}.parquet" for name in ("train", "test", "natural")),
    ],
    "finetune_instruct": [*(paths.INSTRUCTION_SPLITS / f"{name}.jsonl" for name in ("train", "validation")), *MODELS],
    "judge_responses": [paths.RESPONSES],
}


@pytest.fixture(scope="module")
def client(built_store):
    return built_store.client


@pytest.fixture(scope="module")
def runs(built_store) -> dict:
    """The runs that the graph left behind, by stage."""
    return {run.data.tags["dvc.stage"]: run for run in built_store.runs()}


def test_each_training_and_judging_stage_is_a_run_that_ended_well(runs):
    assert set(runs) == set(INPUTS)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {run.info.run_name for run in runs.values()} == set(INPUTS)


def test_each_task_has_an_experiment(client, runs):
    names = {stage: client.get_experiment(run.info.experiment_id).name for stage, run in runs.items()}
    assert names == tracking.EXPERIMENTS


def test_a_run_has_the_params_that_the_stage_read(runs, built):
    known = {key: str(value) for key, value, _ in config.describe(config.load(built.folder / "params.yaml"))}
    for stage, run in runs.items():
        assert {key: value for key, value in run.data.params.items() if known.get(key, value) != value} == {}
        # The run has every key that the stage read, except those that change no byte.
        read = {key for key in built.read[stage] if key in known}
        assert read - {f"compute.{key}" for key in ("launcher", "checkpoint_activations", "checkpoint_minutes")} <= set(
            run.data.params
        )


def test_a_run_knows_its_commit(runs, built):
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=built.folder, capture_output=True, text=True, check=True
    ).stdout.strip()
    for run in runs.values():
        assert run.data.tags["mlflow.source.git.commit"] == commit
        assert run.data.tags["git.dirty"] == "false"


def dvc_hash(path: Path) -> str:
    """As DVC computes it."""
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs import LocalFileSystem, MemoryFileSystem

    _, _, found = build(HashFileDB(MemoryFileSystem(), "/cache"), str(path), LocalFileSystem(), "md5")
    return found.hash_info.value


def test_a_run_has_its_inputs_by_the_hash_that_dvc_knows_them_by(runs, built):
    for stage, run in runs.items():
        found = {inputs.dataset.name: inputs.dataset.digest for inputs in run.inputs.dataset_inputs}
        assert found == {str(path): dvc_hash(built.folder / path) for path in INPUTS[stage]}


def test_a_run_has_its_outputs_by_the_hash_that_dvc_knows_them_by(runs, built):
    outputs = {
        "pretrain": {"models/base", "metrics/pretrain.json", "plots/pretrain.csv"},
        "evaluate_base": {"metrics/base.json", "reports/base_samples.jsonl"},
        "judge_responses": {"reports/judgements.jsonl", "metrics/judge.json"},
    }
    for stage, named in outputs.items():
        found = {
            tag.removeprefix("output."): value
            for tag, value in runs[stage].data.tags.items()
            if tag.startswith("output.")
        }
        assert found == {name: dvc_hash(built.folder / name) for name in named}
    assert runs["pretrain"].data.tags["output.models/base"].endswith(".dir")


def test_a_run_shows_how_busy_the_machine_was(client, runs):
    for run in runs.values():
        [point, *_] = client.get_metric_history(run.info.run_id, "system/system_memory_usage_megabytes")
        assert point.step == 0 and point.value > 10


def test_nothing_is_kept_of_what_mlflow_has(runs, built):
    assert list((built.folder / ".gptmill" / "journal").glob("*-*")) == []


@pytest.mark.parametrize(
    ("stage", "file"), [("evaluate_base", "base"), ("finetune_instruct", "instruct"), ("judge_responses", "judge")]
)
def test_a_run_has_the_figures_of_the_metrics_file(runs, built, stage, file):
    metrics = {
        name: value
        for name, value in files.read_json(built.folder / paths.METRICS / f"{file}.json").items()
        if isinstance(value, int | float)
    }
    if stage == "finetune_instruct":
        assert runs[stage].data.metrics["seconds"] > 0  # a time: here, and in no tracked output
    for name, value in metrics.items():
        assert runs[stage].data.metrics[name] == pytest.approx(value, rel=1e-3), name


def test_the_classifiers_run_has_both_models_figures(runs, built):
    metrics = files.read_json(built.folder / paths.METRICS / "classifier.json")
    logged = runs["evaluate_classifier"].data.metrics
    assert logged["test_accuracy"] == metrics["test"]["accuracy"]
    assert logged["tfidf_f1"] == metrics["tfidf"]["f1"]


@pytest.mark.parametrize(
    ("stage", "plot"),
    [("pretrain", "pretrain"), ("finetune_classifier", "classifier"), ("finetune_instruct", "instruct")],
)
def test_a_run_has_the_curve(client, runs, built, stage, plot):
    rows = [line.split(",") for line in (built.folder / paths.PLOTS / f"{plot}.csv").read_text().splitlines()]
    at = rows[0].index("validation_loss")
    points = {
        point.step: point.value for point in client.get_metric_history(runs[stage].info.run_id, "validation_loss")
    }
    for row in rows[1:]:
        assert points[int(row[0])] == pytest.approx(float(row[at]), rel=1e-3)


def test_a_run_has_its_plots(client, runs):
    for stage, plot in (("finetune_classifier", "classifier"), ("evaluate_classifier", "classifier_predictions")):
        assert [item.path for item in client.list_artifacts(runs[stage].info.run_id, "plots")] == [f"plots/{plot}.csv"]


def test_judgements_are_an_artifact(client, runs):
    assert [item.path for item in client.list_artifacts(runs["judge_responses"].info.run_id)] == ["judgements.jsonl"]


@pytest.mark.parametrize(("stage", "plot"), [("pretrain", "pretrain"), ("finetune_instruct", "instruct")])
def test_a_language_models_run_has_what_it_said_at_each_evaluation(client, runs, built, stage, plot):
    import mlflow

    steps = [row.split(",")[0] for row in (built.folder / paths.PLOTS / f"{plot}.csv").read_text().splitlines()[1:]]
    names = [Path(item.path).name for item in client.list_artifacts(runs[stage].info.run_id, "samples")]
    assert names == [f"step-{int(step):06d}.txt" for step in steps]
    assert "→" in mlflow.artifacts.load_text(f"{runs[stage].info.artifact_uri}/samples/{names[0]}")


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
def served(client, built_store, runs, tmp_path_factory) -> dict:
    """What the logged models answer in a Python of their own, far from the project."""
    folders = {model.name: model.artifact_location for model in client.search_logged_models(built_store.experiments())}
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
    from gptmill.inference.models import Assistant

    assert served["base"]["columns"] == served["instruct"]["columns"] == ["text"]
    assert [
        row[0].startswith(prompt)
        for row, prompt in zip(served["base"]["rows"], ["Claim your prize", "see you"], strict=True)
    ] == [True] * 2
    assert served["instruct"]["rows"] == [
        [Assistant(paths.INSTRUCT_MODEL).answer(text)] for text in ("Claim your prize", "see you")
    ]


def test_a_logged_model_brings_its_own_code_and_nothing_pickled(served, client, built_store):
    for model in client.search_logged_models(built_store.experiments()):
        folder = Path(model.artifact_location.removeprefix("file://"))
        assert (folder / "code" / "gptmill" / "inference" / "models.py").exists()
        assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".bin")]
        assert "torch==" in (folder / "requirements.txt").read_text()
    assert {Path(answer["code"]).parts[-3:] for answer in served.values()} == {("code", "gptmill", "__init__.py")}


def test_a_block_that_raises_makes_the_run_a_failed_one_and_raises(store):
    with pytest.raises(ZeroDivisionError), tracking.run("pretrain", {"seed": 1}, []) as run:
        run.metrics({"loss": 1.0})
        raise ZeroDivisionError
    assert store.latest().info.status == "FAILED"


def test_a_training_that_is_asked_to_stop_makes_the_run_a_killed_one(store):
    with pytest.raises(Interrupted), tracking.run("pretrain", {"seed": 1}, []):
        raise Interrupted("stopped", signal.SIGINT)
    assert store.latest().info.status == "KILLED"


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
    assert [count for count in calls if count][:2] == [1000, 400]
    history = store.client.get_metric_history(store.latest().info.run_id, "loss")
    assert {point.step: point.value for point in history} == {step: step / 2 for step in range(700)}


def test_sections_become_dotted_params(store, project):
    values = config.load(project / "params.yaml")
    with tracking.run("pretrain", {"seed": 5, "judge": values.judge}, []):
        pass
    params = store.latest().data.params
    assert (
        params["seed"] == "5"
        and params["judge.concurrency"] == "4"
        and len(params) == 1 + len(values.judge.model_dump())
    )


def test_what_is_not_there_stops_nothing(store, caplog):
    with tracking.run("pretrain", {"seed": 1}, [Path("not/here.bin")]) as run:
        run.artifact(Path("not/here.txt"))
        run.model(Path("not/here"), "generate", {})
        run.metrics({"loss": 2.0})
    assert store.latest().info.status == "FINISHED" and store.latest().data.metrics["loss"] == 2.0
    assert caplog.text.count("not/here") >= 3


def test_what_mlflow_refuses_is_told_of_and_does_not_stand_in_the_way_of_the_rest(store, caplog, outboxes):
    with tracking.run("pretrain", {"seed": 1, "bad\nname": 2}, []) as run:
        run.metrics({"loss": 2.0})
    assert store.latest().info.status == "FINISHED" and store.latest().data.metrics["loss"] == 2.0
    assert "MLflow does not take params of pretrain" in caplog.text
    assert outboxes() == []


def test_what_a_run_itself_writes_makes_its_commit_no_other(tmp_path, monkeypatch):
    from gptmill.tracking import run_tags

    monkeypatch.chdir(tmp_path)
    for name in ("metrics/pretrain.json", "dvc.lock", "src/model.py", "params.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("old\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *command], check=True)
    Path("metrics/pretrain.json").unlink()  # as DVC does before a stage
    Path("dvc.lock").write_text("new\n")
    assert run_tags.tags("x")["git.dirty"] == "false"
    Path("src/model.py").write_text("new\n")
    assert run_tags.tags("x")["git.dirty"] == "true"


def test_outside_of_a_repository_a_run_has_no_commit(store):
    with tracking.run("pretrain", {}, []):
        pass
    assert "git.dirty" not in store.latest().data.tags


def test_a_run_says_which_experiment_of_dvc_and_which_flow_it_is_of(store, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "gusty-pome")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "f-1")
    Path("dvc.lock").write_text("stages: {}\n")
    with tracking.run("finetune_classifier", {}, []):
        pass
    run = store.latest()
    assert run.info.run_name == "finetune_classifier gusty-pome"
    assert (run.data.tags["dvc.experiment"], run.data.tags["prefect.flow_run"]) == ("gusty-pome", "f-1")
    assert run.data.tags["dvc.lock"] == files.digest(Path("dvc.lock"), "md5")


def test_system_metrics_can_be_switched_off(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    with tracking.run("pretrain", {"seed": 1}, []) as run:
        run.metrics({"loss": 2.0})
    assert store.latest().data.metrics == {"loss": 2.0}


@pytest.fixture
def dead_server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")


def test_a_server_that_is_dead_stops_nothing_and_is_told_of_once(dead_server, caplog, tmp_path, outboxes):
    (tmp_path / "a").write_text("x")
    done = []
    with tracking.run("pretrain", {"seed": 1}, [tmp_path / "a"]) as run:
        run.metrics({"loss": 1.0})
        run.curve([(3, {"loss": 1.0})])
        run.text("a.txt", "x")
        run.artifact(tmp_path / "a")
        run.model(tmp_path / "a", "generate", {})
        done.append(True)
    assert done == [True]
    assert caplog.text.count("MLflow (http://127.0.0.1:9) cannot be reached") == 1 and "gptmill sync" in caplog.text
    assert "secret" not in caplog.text
    assert len(outboxes()) == 1


def test_an_error_of_the_block_is_raised_though_the_server_is_dead(dead_server):
    with pytest.raises(ZeroDivisionError), tracking.run("pretrain", {"seed": 1}, []):
        raise ZeroDivisionError


def test_a_folder_that_takes_no_outbox_stops_nothing(store, caplog, tmp_path):
    (tmp_path / ".gptmill").write_text("a file")
    done = []
    with tracking.run("pretrain", {"seed": 1}, []) as run:
        run.metrics({"loss": 1.0})
        done.append(True)
    assert done == [True] and "tracking:" in caplog.text


def test_a_store_that_breaks_in_the_middle_stops_nothing_and_gets_the_rest_when_it_is_whole(store, caplog, outboxes):
    database = store.uri.removeprefix("sqlite:///")
    with tracking.run("pretrain", {"seed": 1}, []) as run:
        with sqlite3.connect(database) as broken:
            broken.execute("ALTER TABLE runs RENAME TO gone")
        run.metrics({"loss": 1.0})
    assert "cannot be reached" in caplog.text
    import mlflow

    assert mlflow.active_run() is None  # or the next stage in this process would be nested in it
    with sqlite3.connect(database) as broken:
        broken.execute("ALTER TABLE gone RENAME TO runs")
    assert len(outboxes()) == 1 and store.latest().info.status == "RUNNING"
    assert sync.sync(log_to_run).left == []
    assert outboxes() == [] and store.latest().info.status == "FINISHED" and store.latest().data.metrics["loss"] == 1.0
