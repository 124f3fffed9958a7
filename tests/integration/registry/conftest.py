"""A project with models and its own store, and challengers: the classifier, made better, equal, worse or broken."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gptmill.core import paths
from gptmill.model.folder import ModelFolder
from gptmill.model.lineage import Lineage
from gptmill.text.tokenizer import Tokenizer

LEFT_OUT = (
    "mlartifacts",
    "mlruns",
    "mlflow.db*",
    ".git",
    "data_docs",
    "quarantine",
    "clean",
    ".gptmill",
    ".mlflow.lock",
)


@pytest.fixture
def arena(built, tmp_path, monkeypatch) -> Path:
    """A copy of the built project and of its store, as the working folder: its runs are there, nothing is registered."""
    folder = tmp_path / "arena"
    shutil.copytree(built.folder, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copy(built.folder / "mlflow.db", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv(
        "MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db"
    )  # whole: MLflow keeps a store of each address open
    return folder


@pytest.fixture(scope="session")
def heads(built) -> dict:
    """Heads of the classifier of the project: `right` knows the test messages by heart, `wrong` is its opposite."""
    import pandas as pd
    import torch
    from sklearn.linear_model import LogisticRegression

    folder = built.folder
    model, tokenizer = (
        ModelFolder(folder / paths.CLASSIFIER_MODEL).load_gpt_classifier(),
        Tokenizer.load(folder / paths.CLASSIFIER_MODEL),
    )
    test = pd.read_parquet(folder / paths.SPAM_SPLITS / "test.parquet")
    seen: list = []
    hook = model.head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    most = Tokenizer.max_length(folder / paths.CLASSIFIER_MODEL)
    with torch.inference_mode():
        for text in test["text"]:
            ids = torch.tensor([tokenizer.encode(text)[:most]])
            model(ids, torch.tensor([ids.shape[1]]))
    hook.remove()
    features = torch.cat([hidden.reshape(1, -1) for hidden in seen]).numpy()
    fitted = LogisticRegression(C=1e4, max_iter=5000, fit_intercept=False).fit(
        features, [model.labels.index(x) for x in test["label"]]
    )
    assert fitted.score(features, [model.labels.index(x) for x in test["label"]]) > 0.9
    direction = torch.tensor(fitted.coef_[0], dtype=torch.float32)
    return {"right": torch.stack([-direction, direction]) / 2, "wrong": torch.stack([direction, -direction]) / 2}


@pytest.fixture
def challenger(heads) -> Callable[..., None]:
    """`challenger("right")`: models/classifier with that head; `challenger(scale=1.5)`: with its own, scaled."""

    def make(head: str = "", scale: float = 1.0, labels: list[str] | None = None) -> None:
        import torch

        folder = paths.CLASSIFIER_MODEL
        model, tokenizer, most = (
            ModelFolder(folder).load_gpt_classifier(),
            Tokenizer.load(folder),
            Tokenizer.max_length(folder),
        )
        if head:
            model.head.weight = torch.nn.Parameter(heads[head])
        with torch.no_grad():
            model.head.weight.mul_(scale)
        model.labels = labels or model.labels
        lineage = Lineage.read(folder)
        ModelFolder(folder).save(model, tokenizer, max_length=most, lineage=lineage)

    return make
