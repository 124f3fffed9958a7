import shutil
import subprocess

import pytest

from gptmill import config
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.model.lineage import Lineage
from gptmill.registry import provenance
from gptmill.registry.promote import promote
from gptmill.tracking.dvc_lock import dvc_hash


@pytest.fixture
def project_with_history(built, tmp_path, monkeypatch):
    """A copy of the built project with its store and a committed receipt of the classifier, as the working folder."""
    folder = tmp_path / "project"
    shutil.copytree(
        built.folder, folder, ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*", "data_docs", ".gptmill")
    )
    shutil.copy(built.folder / "mlflow.db", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    (folder / "src").mkdir()
    (folder / "src" / "code.py").write_text("x = 1\n")
    receipt = f"""
stages:
  finetune_classifier:
    deps:
    - path: src/code.py
      md5: {files.digest(folder / "src/code.py", "md5")}
    outs:
    - path: models/classifier
      md5: {dvc_hash(paths.CLASSIFIER_MODEL)}
"""
    (folder / "dvc.lock").write_text(f"schema: '2.0'{receipt}")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "add", "dvc.lock"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "the receipt"], check=True)
    return folder


def lines_of(address: str, state: str | None = None) -> str:
    return "\n".join(step.text for step in provenance.follow(address).lines() if state is None or step.state == state)


def test_the_lineage_leads_from_the_weights_to_the_run(project_with_history):
    lines = lines_of("classifier")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    for part in (
        f"weights: SHA-256 {files.digest(paths.CLASSIFIER_MODEL / Lineage.WEIGHTS)}, as they were trained",
        "made by the stage finetune_classifier",
        "classifier.epochs: 1",
        f"data/spam/train.parquet: MD5 {files.digest(paths.SPAM_SPLITS / 'train.parquet', 'md5')}",
        "spam: embedded sample: spam, licence MIT, from the sample in gptmill, the first 500 messages",
        f"tuned from the model of pretrain, weights SHA-256 {files.digest(paths.BASE_MODEL / Lineage.WEIGHTS)}",
        "corpus: embedded sample: corpus, licence MIT",
        "dvc.lock has it, as an output of finetune_classifier",
        f"git: its receipt is in commit {commit} the receipt",
        "run: finetune_classifier ",
    ):
        assert part in lines
    assert "compute." not in lines
    assert lines_of("classifier", "changed") == "" and lines_of("classifier", "unknown") == ""
    assert "Everything is here as it was." in lines
    assert lines_of("models/classifier").splitlines()[1:] == lines.splitlines()[1:]


def test_data_that_changed_since_is_said(project_with_history):
    with (paths.SPAM_SPLITS / "train.parquet").open("ab") as file:
        file.write(b"x")
    with (paths.RAW / "corpus/corpus.txt").open("a") as file:
        file.write("x")
    changed = lines_of("classifier", "changed").splitlines()
    assert len(changed) == 2
    assert changed[0].startswith("data/spam/train.parquet: MD5") and changed[0].endswith("the data has changed since")
    assert changed[1].startswith("corpus: ") and changed[1].endswith("data/raw/corpus/corpus.txt has changed since")
    assert "2 changed since" in lines_of("classifier")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda: paths.PARAMS.write_text(paths.PARAMS.read_text().replace("seed: 123", "seed: 5")),
            "seed: 123, and 5 in params.yaml now",
        ),
        (lambda: (paths.BASE_MODEL / Lineage.WEIGHTS).write_bytes(b"x"), "models/base is another one now"),
        (lambda: (paths.CLASSIFIER_MODEL / Lineage.WEIGHTS).write_bytes(b"x"), "damaged, or changed by hand"),
        (lambda: files.write_text(paths.Path("src/code.py"), "x = 2\n"), "src/code.py: the code has changed since"),
        (
            lambda: files.write_json(
                paths.source_record("spam"), files.read_json(paths.source_record("spam")) | {"licence": "CC0"}
            ),
            "has another origin or licence now",
        ),
    ],
)
def test_whatever_else_changed_since_is_said(project_with_history, change, message):
    change()
    assert message in lines_of("classifier", "changed")


def test_what_can_not_be_followed_is_said(project_with_history, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    (paths.CLASSIFIER_MODEL / "README.md").write_text("mine")  # other bytes than those of the receipt
    unknown = lines_of("classifier", "unknown")
    for part in (
        "dvc.lock has no such output",
        "git: no commit has its receipt",
        "run: MLflow at http://127.0.0.1:9",
    ):
        assert part in unknown
    for file in paths.CLASSIFIER_MODEL.iterdir():
        if file.name != Lineage.WEIGHTS:
            file.unlink()
    assert "no lineage.json: what this model was made of is not recorded" in lines_of("classifier", "unknown")


def test_a_model_from_the_registry_brings_its_lineage_to_another_machine(project_with_history, tmp_path, monkeypatch):
    [outcome] = promote(config.load(), ["classifier"])
    weights = files.digest(paths.CLASSIFIER_MODEL / Lineage.WEIGHTS)
    here = lines_of("gptmill-classifier@champion")
    assert "registered as gptmill-classifier version 1 (champion)" in here and "Everything is here as it was." in here
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    lines, unknown = lines_of("models:/gptmill-classifier/1"), lines_of("models:/gptmill-classifier/1", "unknown")
    for part in (
        weights,
        "classifier.epochs: 1",
        "licence MIT",
        "run: finetune_classifier",
        "gptmill-classifier version 1 (champion)",
    ):
        assert part in lines
    for part in ("data/spam/train.parquet: MD5", "dvc.lock not found", "which is not in the repository here"):
        assert part in unknown
    assert lines_of("gptmill-classifier/1", "changed") == ""


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nowhere/at/all", "is not a model: name a folder"),
        ("gptmill-classifier@champion", "the registry has no gptmill-classifier@champion"),
        ("models:/gptmill-classifier/7", "the registry has no gptmill-classifier/7"),
    ],
)
def test_an_address_without_a_model_is_said_so(project_with_history, address, why):
    with pytest.raises(GptmillError, match=why):
        provenance.follow(address)


def test_what_a_source_calls_itself_is_shown_as_it_is(project_with_history, capsys):
    from rich.console import Console

    lineage = files.read_json(paths.CLASSIFIER_MODEL / Lineage.FILE)
    lineage["sources"]["spam"]["name"] = "[red]mine[/red] \x1b[2J"
    files.write_json(paths.CLASSIFIER_MODEL / Lineage.FILE, lineage)
    Console(width=400).print(provenance.follow("classifier").tree())
    assert "[red]mine[/red] \N{REPLACEMENT CHARACTER}[2J" in capsys.readouterr().out
