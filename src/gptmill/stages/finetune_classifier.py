"""finetune_classifier: the base model learns to tell spam from ham, and is measured beside TF-IDF on the same test split."""

import csv
from collections.abc import Sequence

from gptmill import compute, files, paths, tokenizer, tracking
from gptmill.evaluation import baselines, classification
from gptmill.model import lora, weights
from gptmill.model.gpt import GPTClassifier
from gptmill.params import Params
from gptmill.training import checkpoint, curves, loop
from gptmill.training.frozen import FrozenClassification
from gptmill.training.objectives import Classification

LABELS = ("ham", "spam")


def run(params: Params) -> None:
    import pandas as pd

    machine = compute.prepare(params.compute, params.seed)
    words = tokenizer.load(paths.TOKENIZER)
    splits = {name: pd.read_parquet(paths.SPAM_SPLITS / f"{name}.parquet") for name in ("train", "validation", "test")}

    def encode(split: pd.DataFrame) -> list[tuple[list[int], int]]:
        return [(words.encode(text), LABELS.index(label)) for text, label in zip(split["text"], split["label"], strict=True)]

    settings = params.classifier
    objective = Classification(encode(splits["train"]), encode(splits["validation"]), settings.max_length, settings.batch_size, params.seed)
    model = GPTClassifier(weights.load(paths.BASE_MODEL).trunk, LABELS)
    if settings.lora.rank:
        lora.attach(model, settings.lora)
    else:
        model.freeze_all_but(settings.trainable)
    model.trunk.checkpoint_activations = params.compute.checkpoint_activations
    if model.learns_after() != "nothing" and not model.config.dropout:
        objective = FrozenClassification.of(objective, model, machine, keep=settings.cache_activations)
    sections = {"seed": params.seed, "classifier": settings, "compute": params.compute}
    inputs = [paths.SPAM_SPLITS / f"{name}.parquet" for name in splits]
    checkpoints = checkpoint.of_stage(
        "finetune_classifier", sections, [*inputs, paths.BASE_MODEL, paths.TOKENIZER], params.compute.checkpoint_minutes
    )
    with tracking.run("finetune_classifier", sections, inputs) as run:
        with curves.Live(run.curve) as live:
            trained = loop.train(
                model, objective, settings, machine, name="finetune_classifier", checkpoints=checkpoints, on_evaluation=[live]
            )
        also = lora.detach(model, str(paths.BASE_MODEL))
        test = splits["test"]
        texts, labels = test["text"].tolist(), test["label"].tolist()
        predictions = classification.predict(model, words, texts, settings.max_length, machine)
        train = splits["train"]["text"].tolist(), splits["train"]["label"].tolist()
        metrics = {
            "test": classification.scores(labels, [label for label, _ in predictions], positive="spam"),
            "tfidf": classification.scores(labels, baselines.tfidf_classifier(train, texts, params.seed), positive="spam"),
            "validation_accuracy": round(trained.kept.validation_accuracy, 4),
            "best_epoch": round(trained.kept.epoch, 2),
        }
        weights.save(model, words, paths.CLASSIFIER_MODEL, settings.max_length, also)
        curves.write(paths.PLOTS / "classifier.csv", trained.curve, trained.kept)
        _write_predictions(texts, labels, predictions)
        files.write_json(paths.METRICS / "classifier.json", metrics)
        run.metrics({f"{group}_{name}": value for group in ("test", "tfidf") for name, value in metrics[group].items()})
        run.metrics({"seconds": trained.seconds})
        run.model(paths.CLASSIFIER_MODEL, "classify")
    checkpoints.clear()
    print(
        f"classifier: test accuracy {metrics['test']['accuracy']:.1%} (TF-IDF with logistic regression: {metrics['tfidf']['accuracy']:.1%})"
    )


def _write_predictions(texts: Sequence[str], labels: Sequence[str], predictions: Sequence[tuple[str, float]]) -> None:
    with files.atomic(paths.PLOTS / "classifier_predictions.csv") as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a message may hold a bare \r
        writer.writerow(["actual", "predicted", "probability", "text"])
        for text, label, (predicted, probability) in zip(texts, labels, predictions, strict=True):
            writer.writerow([label, predicted, f"{probability:.4f}", text])
