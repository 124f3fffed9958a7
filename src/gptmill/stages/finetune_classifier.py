"""finetune_classifier: the base model learns to tell classes apart, and is measured beside TF-IDF on the same test split.

It is measured twice: on the test split as the split stage balanced it, and on that split as the classes really are spread (`natural`).
"""

import csv
import json
from collections.abc import Sequence

from gptmill import compute, files, paths, ranks, tokenizer, tracking
from gptmill.errors import GptmillError
from gptmill.evaluation import classification
from gptmill.evaluation.tfidf import tfidf_classifier, tfidf_of
from gptmill.lineage import card, record
from gptmill.model import folders, lora, weights
from gptmill.model.gpt import GPTClassifier
from gptmill.params import Params
from gptmill.training import checkpoint, curves, loop
from gptmill.training.frozen import FrozenClassification
from gptmill.training.objectives import Classification, balancing_weights

SPLITS = ("train", "validation", "test", "natural")
FIGURES = ("accuracy", "precision", "recall", "f1", "rows")


def run(params: Params) -> None:
    import pandas as pd

    machine = compute.prepare(params.compute, params.seed)
    words = tokenizer.load(paths.TOKENIZER)
    classes, weigh = params.data.spam.labels, params.split.spam.balance == "weights"
    files_of = {name: paths.SPAM_SPLITS / f"{name}.parquet" for name in SPLITS}
    splits = {name: pd.read_parquet(path) for name, path in files_of.items()}
    for name, split in splits.items():
        if unknown := sorted(set(split["label"]) - set(classes)):
            raise GptmillError(f"{files_of[name]} has the label {unknown[0]!r}, which data.spam.labels has not: dvc repro split_spam")

    def encode(split: pd.DataFrame) -> list[tuple[list[int], int]]:
        return [(words.encode(text), classes.index(label)) for text, label in zip(split["text"], split["label"], strict=True)]

    # Most texts of the test split are in the natural one too: each is read once.
    texts = list(dict.fromkeys([*splits["test"]["text"], *splits["natural"]["text"]]))
    learnt = splits["train"]["text"].tolist(), splits["train"]["label"].tolist()
    # Before the training, which takes longer: texts that can't be told apart by words are refused at once.
    tfidf = dict(zip(texts, tfidf_classifier(learnt, texts, params.seed, weigh_classes=weigh), strict=True))

    settings = params.classifier
    train = encode(splits["train"])
    class_weights = balancing_weights([label for _, label in train], len(classes)) if weigh else None
    objective = Classification(train, encode(splits["validation"]), settings.max_length, settings.batch_size, params.seed, class_weights)
    model = GPTClassifier(folders.load_base(paths.BASE_MODEL, words).trunk, classes)
    if settings.lora.rank:
        lora.attach(model, settings.lora)
    else:
        model.freeze_all_but(settings.trainable)
    model.trunk.checkpoint_activations = params.compute.checkpoint_activations
    parameters_trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    if model.learns_after() != "nothing" and not model.config.dropout:
        objective = FrozenClassification.of(objective, model, machine, keep=settings.cache_activations)
    sections = {
        "seed": params.seed,
        "data.spam.labels": classes,
        "split.spam.balance": params.split.spam.balance,
        "classifier": settings,
        "compute": params.compute,
    }
    inputs = [*files_of.values(), paths.BASE_MODEL, paths.TOKENIZER]
    checkpoints = checkpoint.of_stage("finetune_classifier", sections, inputs, params.compute.checkpoint_minutes)
    with tracking.run("finetune_classifier", sections, inputs, checkpoints.folder.name) as run:
        with curves.Live(run.curve) as live:
            trained = loop.train(
                model, objective, settings, machine, name="finetune_classifier", checkpoints=checkpoints, on_evaluation=[live]
            )
        if not ranks.leads():
            return
        adapters = lora.detach(model, str(paths.BASE_MODEL))
        probable = dict(zip(texts, classification.probabilities(model, words, texts, settings.max_length, machine), strict=True))
        predictions = {text: classification.likeliest(row, classes) for text, row in probable.items()}
        metrics = {}
        for name, theirs in (("test", "tfidf"), ("natural", "natural_tfidf")):
            labels = splits[name]["label"].tolist()
            metrics[name] = classification.scores(labels, [predictions[text][0] for text in splits[name]["text"]], classes)
            metrics[theirs] = classification.scores(labels, [tfidf[text] for text in splits[name]["text"]], classes)
        measured = {f"{group}_{figure}": metrics[group][figure] for group in metrics for figure in FIGURES}
        metrics |= {
            "scores_of": classification.scores_of(classes),
            "tfidf_of": tfidf_of(learnt[0]),
            "validation_accuracy": round(trained.kept.validation_accuracy, 4),
            "best_epoch": round(trained.kept.epoch, 2),
            "parameters_trained": parameters_trained,
            "tokens_read": round(trained.curve[-1].epoch * sum(min(len(ids), settings.max_length) for ids, _ in train)),
        }
        lineage = record.of_stage("finetune_classifier", sections, files_of.values(), ["spam"], paths.BASE_MODEL)
        also = [adapters, card.beside(lineage, card.CLASSIFY, metrics, classes)]
        weights.save(model, words, paths.CLASSIFIER_MODEL, settings.max_length, also)
        curves.write(paths.PLOTS / "classifier.csv", trained.curve, trained.kept)
        test = splits["test"]
        _write_predictions(test["text"], test["label"], [probable[text] for text in test["text"]], classes)
        files.write_json(paths.METRICS / "classifier.json", metrics)
        run.metrics(measured)
        run.metrics({"seconds": trained.seconds})
        run.model(paths.CLASSIFIER_MODEL, "classify")
    checkpoints.clear()
    ours, theirs = metrics["test"]["accuracy"], metrics["tfidf"]["accuracy"]
    print(f"classifier: test accuracy {ours:.1%} (TF-IDF of {metrics['tfidf_of']} with logistic regression: {theirs:.1%})")
    ours, theirs = metrics["natural"]["accuracy"], metrics["natural_tfidf"]["accuracy"]
    print(f"classifier: accuracy as the classes are spread {ours:.1%} (TF-IDF: {theirs:.1%})")


def _write_predictions(texts: Sequence[str], labels: Sequence[str], rows: Sequence[Sequence[float]], classes: Sequence[str]) -> None:
    with files.atomic(paths.PLOTS / "classifier_predictions.csv") as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a message may hold a bare \r
        writer.writerow(["actual", "predicted", "probability", "probabilities", "text"])
        for text, label, row in zip(texts, labels, rows, strict=True):
            predicted, probability = classification.likeliest(row, classes)
            every = {name: round(value, 4) for name, value in zip(classes, row, strict=True)}
            writer.writerow([label, predicted, f"{probability:.4f}", json.dumps(every, ensure_ascii=False), text])
