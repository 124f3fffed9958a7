"""A classifier of four classes, from messages to the report and the command line, by params alone."""

import csv
import json
import random
import re
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from gptmill import config, stages
from gptmill.commands import summary
from gptmill.core import files, paths
from gptmill.inference.models import TextClassifier

WORDS = {
    "weather": "rain snow wind cloud storm frost sun fog hail thunder".split(),  # noqa: SIM905
    "food": "bread soup cheese onion pepper butter salt honey apple stew".split(),  # noqa: SIM905
    "music": "drum fiddle song choir flute chord tune harp dance bell".split(),  # noqa: SIM905
    "travel": "train ticket road map harbour boat station bridge coach luggage".split(),  # noqa: SIM905
}
SHARES = {"weather": 120, "food": 90, "music": 60, "travel": 30}


@pytest.fixture(scope="module", params=["undersample", "weights"])
def trained(request, built, tmp_path_factory):
    """A copy of the project that was run, with messages of four classes, and the stages run that these concern."""
    import shutil

    folder = tmp_path_factory.mktemp(request.param) / "copy"
    shutil.copytree(
        built.folder, folder, ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*", ".git", "data_docs")
    )
    rng = random.Random(2)
    lines = [
        f"{label}\t" + " ".join(["so", *rng.choices(WORDS[label], k=6), "then", str(n)])
        for label, count in SHARES.items()
        for n in range(count)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        files.write_text(Path("mine.tsv"), "\n".join(rng.sample(lines, len(lines))) + "\n")
        yaml = YAML()
        values = yaml.load(paths.PARAMS.read_text())
        values["data"]["source"] = "custom"
        values["data"]["spam"] |= {"urls": ["mine.tsv"], "labels": list(SHARES)}
        values["split"]["spam"] |= {"balance": request.param, "train": 0.6, "validation": 0.15}
        values["classifier"] |= {"epochs": 8, "trainable": "all", "learning_rate": 0.003}
        with paths.PARAMS.open("w") as file:
            yaml.dump(values, file)
        loaded = config.load()
        stages.run("download", loaded, "spam")
        for stage in ("validate", "split_spam", "finetune_classifier", "evaluate_classifier", "report"):
            stages.run(stage, loaded)
        yield request.param


@pytest.fixture
def metrics(trained) -> dict:
    return files.read_json(paths.METRICS / "classifier.json")


def test_the_splits_have_all_classes_and_nothing_is_dropped_with_weights(trained):
    parts = {
        name: pd.read_parquet(paths.SPAM_SPLITS / f"{name}.parquet")
        for name in ("train", "validation", "test", "natural")
    }
    counts = {name: part["label"].value_counts().to_dict() for name, part in parts.items()}
    assert all(set(count) == set(SHARES) for count in counts.values())
    if trained == "weights":
        assert sum(len(parts[name]) for name in ("train", "validation", "test")) == sum(SHARES.values())
        assert (paths.SPAM_SPLITS / "natural.parquet").read_bytes() == (paths.SPAM_SPLITS / "test.parquet").read_bytes()
    else:
        assert all(len(set(counts[name].values())) == 1 for name in ("train", "validation", "test"))
        assert counts["natural"]["weather"] > 3 * counts["natural"]["travel"]


def test_it_learns_and_is_measured_class_by_class(trained, metrics):
    assert metrics["scores_of"] == "4 classes, averaged"
    for group in ("test", "tfidf", "natural", "natural_tfidf"):
        assert list(metrics[group]["per_class"]) == list(SHARES)
        assert metrics[group]["f1"] == pytest.approx(sum(metrics[group]["per_class"].values()) / 4, abs=1e-3)
    assert metrics["test"]["accuracy"] > 0.5 and metrics["tfidf"]["accuracy"] > 0.9


def test_predictions_and_the_model_know_the_four_classes(trained):
    with (paths.PLOTS / "classifier_predictions.csv").open(newline="") as file:
        assert {row["actual"] for row in csv.DictReader(file)} == set(SHARES)
    settings = json.loads((paths.CLASSIFIER_MODEL / "config.json").read_text())
    assert list(settings["id2label"].values()) == list(SHARES)
    [(label, probability)] = TextClassifier(paths.CLASSIFIER_MODEL).classify(["rain and snow and fog"])
    assert label in SHARES and 0.25 <= probability <= 1


def test_the_report_speaks_of_these_classes_and_of_no_others(trained):
    page = re.sub(r"<(style|svg).*?</\1>", " ", paths.REPORT.read_text(), flags=re.DOTALL)
    assert all("Predicted" in page and label in page for label in SHARES)
    assert not re.search(r"\b(spam|ham)\b", re.sub(r"<[^>]*>", " ", page).casefold())
    assert ("Natural classes" in page) == (trained == "undersample")


def test_the_baseline_of_chinese_classes_is_of_characters_and_is_called_so(copy_of_built, capsys):
    """Of words it would be at chance, and a bad classifier would look good beside it."""
    everyday, prize = ["今天", "明天", "开会", "吃饭", "回家", "电影"], ["中奖", "红包", "点击", "链接", "免费", "贷款"]
    vocabulary = {"正常短信": everyday, "垃圾短信": prize}
    both, rng = ["我们", "的", "了", "是", "已经", "大家", "一个", "到"] * 2, random.Random(3)
    messages = [
        {"label": label, "text": "".join(rng.choices(words + both, k=14)) + "。"}
        for label, words in vocabulary.items()
        for _ in range(75)
    ]
    rng.shuffle(messages)
    for name, part in (
        ("train", messages[:100]),
        ("validation", messages[100:110]),
        ("test", messages[110:]),
        ("natural", messages[110:]),
    ):
        pd.DataFrame(part).to_parquet(paths.SPAM_SPLITS / f"{name}.parquet")
    yaml = YAML()
    values = yaml.load(paths.PARAMS.read_text())
    values["data"]["source"] = "custom"
    values["data"]["spam"] |= {"urls": ["mine.tsv"], "labels": list(vocabulary)}
    values["classifier"] |= {"epochs": 1, "trainable": "head"}
    with paths.PARAMS.open("w") as file:
        yaml.dump(values, file)
    stages.run("finetune_classifier", config.load())
    stages.run("evaluate_classifier", config.load())
    stages.run("report", config.load())
    summary.summary()
    metrics = files.read_json(paths.METRICS / "classifier.json")
    assert metrics["tfidf_of"] == "characters" and metrics["tfidf"]["accuracy"] > 0.95
    said = capsys.readouterr().out
    assert "TF-IDF of characters with logistic regression" in said and "%, TF-IDF of characters" in said
    assert ">TF-IDF of characters</th>" in paths.REPORT.read_text()
