"""evaluate_classifier: the classifier and TF-IDF on the test split, balanced (`test`) and unbalanced (`natural`)."""

import csv
import json
from collections.abc import Sequence

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.tracked_run import Track, untracked
from gptmill.evaluation import scores
from gptmill.evaluation.tfidf import tfidf_classifier, tfidf_of
from gptmill.inference import classification
from gptmill.model.folder import ModelFolder
from gptmill.runtime import device

SPLITS = ("train", "test", "natural")
FIGURES = ("accuracy", "precision", "recall", "f1", "rows")


def run(params: Params, track: Track = untracked) -> None:
    import pandas as pd

    runtime = device.setup(params.compute, params.seed)
    model, tokenizer, max_length = ModelFolder(paths.CLASSIFIER_MODEL).load_classifier()
    classes = model.labels
    files_of = {name: paths.SPAM_SPLITS / f"{name}.parquet" for name in SPLITS}
    splits = {name: pd.read_parquet(path) for name, path in files_of.items()}
    for name, split in splits.items():
        if unknown := sorted(set(split["label"]) - set(classes)):
            path, label = files_of[name], unknown[0]
            raise GptmillError(
                f"{path} has the label {label!r}, which the classifier has not: dvc repro finetune_classifier"
            )
    # Most texts of the test split are also in the natural one: each is classified once.
    texts = list(dict.fromkeys([*splits["test"]["text"], *splits["natural"]["text"]]))
    balance = params.split.spam.balance
    sections = {"seed": params.seed, "split.spam.balance": balance, **device.settings(params.compute)}
    with track("evaluate_classifier", sections, [paths.CLASSIFIER_MODEL, *files_of.values()]) as run:
        train = splits["train"]["text"].tolist(), splits["train"]["label"].tolist()
        tfidf = tfidf_classifier(train, texts, params.seed, weigh_classes=balance == "weights")
        tfidf = dict(zip(texts, tfidf, strict=True))
        rows = classification.probabilities(model, tokenizer, texts, max_length, runtime)
        probabilities = dict(zip(texts, rows, strict=True))
        metrics = {}
        for name, baseline in (("test", "tfidf"), ("natural", "natural_tfidf")):
            labels, of_split = splits[name]["label"].tolist(), splits[name]["text"]
            predicted = [classification.top_label(probabilities[text], classes)[0] for text in of_split]
            metrics[name] = scores.scores(labels, predicted, classes)
            metrics[baseline] = scores.scores(labels, [tfidf[text] for text in of_split], classes)
        figures = {f"{group}_{figure}": metrics[group][figure] for group in metrics for figure in FIGURES}
        metrics |= {"scores_of": scores.scores_of(classes), "tfidf_of": tfidf_of(train[0])}
        test = splits["test"]
        _write_predictions(test["text"], test["label"], [probabilities[text] for text in test["text"]], classes)
        files.write_json(paths.METRICS / "classifier.json", metrics)
        run.metrics(figures)
        run.model(paths.CLASSIFIER_MODEL, "classify", metrics, classes)
    ours, baseline = metrics["test"]["accuracy"], metrics["tfidf"]["accuracy"]
    of = metrics["tfidf_of"]
    print(f"classifier: test accuracy {ours:.1%} (TF-IDF of {of} with logistic regression: {baseline:.1%})")
    ours, baseline = metrics["natural"]["accuracy"], metrics["natural_tfidf"]["accuracy"]
    print(f"classifier: accuracy as the classes are spread {ours:.1%} (TF-IDF: {baseline:.1%})")


def _write_predictions(
    texts: Sequence[str], labels: Sequence[str], rows: Sequence[Sequence[float]], classes: Sequence[str]
) -> None:
    path = paths.PLOTS / "classifier_predictions.csv"
    with files.atomic(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a message may have a bare \r
        writer.writerow(["actual", "predicted", "probability", "probabilities", "text"])
        for text, label, row in zip(texts, labels, rows, strict=True):
            predicted, probability = classification.top_label(row, classes)
            every = {name: round(value, 4) for name, value in zip(classes, row, strict=True)}
            writer.writerow([label, predicted, f"{probability:.4f}", json.dumps(every, ensure_ascii=False), text])
