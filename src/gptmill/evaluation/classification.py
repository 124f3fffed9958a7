"""How good a classifier is: predictions with probabilities, and the usual figures from them."""

from collections.abc import Sequence

import torch

from gptmill.compute import Compute
from gptmill.model.gpt import GPTClassifier
from gptmill.tokenizer import Tokenizer


@torch.inference_mode()
def predict(
    model: GPTClassifier, tokenizer: Tokenizer, texts: Sequence[str], max_length: int, compute: Compute, batch_size: int = 64
) -> list[tuple[str, float]]:
    """(label, its probability) for each text, in order. Texts are batched by length; an empty one is read as an end of text."""
    model.to(compute.device).eval()
    rows = [tokenizer.encode(text)[:max_length] or [tokenizer.end_of_text] for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    predictions: list[tuple[str, float]] = [("", 0.0)] * len(rows)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        lengths = torch.tensor([len(rows[i]) for i in batch])
        tokens = torch.full((len(batch), int(lengths.max())), tokenizer.end_of_text)
        for j, i in enumerate(batch):
            tokens[j, : lengths[j]] = torch.tensor(rows[i])
        with compute.autocast():
            logits = model(tokens.to(compute.device), lengths.to(compute.device)).float()
        for i, probability, label in zip(batch, *(v.tolist() for v in logits.softmax(1).max(1)), strict=True):
            predictions[i] = (model.labels[label], probability)
    return predictions


def scores(labels: Sequence[str], predicted: Sequence[str], positive: str) -> dict[str, float | int]:
    """Accuracy over all, precision, recall and F1 of `positive`; shares from 0 to 1."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, labels=[positive], average=None, zero_division=0)
    return {
        "accuracy": round(float(accuracy_score(labels, predicted)), 4),
        "precision": round(float(precision[0]), 4),
        "recall": round(float(recall[0]), 4),
        "f1": round(float(f1[0]), 4),
        "rows": len(labels),
    }
