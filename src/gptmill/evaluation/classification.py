"""How good a classifier is: predictions with probabilities, and the usual figures from them."""

from collections.abc import Sequence
from typing import Any

import torch

from gptmill.compute import Compute
from gptmill.model.gpt import GPTClassifier
from gptmill.tokenizer import Tokenizer


@torch.inference_mode()
def probabilities(
    model: GPTClassifier, tokenizer: Tokenizer, texts: Sequence[str], max_length: int, compute: Compute, batch_size: int = 64
) -> list[list[float]]:
    """For each text, in order, how probable each class is, in the order of the model's labels. An empty text is read as an end of text."""
    model.to(compute.device).eval()
    rows = [tokenizer.encode(text)[:max_length] or [tokenizer.end_of_text] for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # batched by length
    found: list[list[float]] = [[]] * len(rows)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        lengths = torch.tensor([len(rows[i]) for i in batch])
        tokens = torch.full((len(batch), int(lengths.max())), tokenizer.end_of_text)
        for j, i in enumerate(batch):
            tokens[j, : lengths[j]] = torch.tensor(rows[i])
        with compute.autocast():
            logits = model(tokens.to(compute.device), lengths.to(compute.device)).float()
        for i, row in zip(batch, logits.softmax(1).tolist(), strict=True):
            found[i] = row
    return found


def likeliest(row: Sequence[float], labels: Sequence[str]) -> tuple[str, float]:
    """The first of equals."""
    place = max(range(len(row)), key=row.__getitem__)
    return labels[place], row[place]


def scores_of(classes: Sequence[str]) -> str:
    """What precision, recall and F1 are about, in words: of two classes the last one, of more each alike."""
    return classes[-1] if len(classes) == 2 else f"{len(classes)} classes, averaged"


def scores(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy over all, precision, recall and F1; shares from 0 to 1. A class that does not occur scores 0.

    Of two `classes`, the last one's. Of more, their means over the classes, each weighing the same (macro), and `per_class`: F1 of each.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    asked = list(classes[-1:] if len(classes) == 2 else classes)
    by_class = precision_recall_fscore_support(labels, predicted, labels=asked, average=None, zero_division=0)[:3]
    precision, recall, f1 = (round(float(values.mean()), 4) for values in by_class)
    found = {"accuracy": round(float(accuracy_score(labels, predicted)), 4), "precision": precision, "recall": recall, "f1": f1}
    found["rows"] = len(labels)
    if len(asked) > 1:
        found["per_class"] = {label: round(float(value), 4) for label, value in zip(asked, by_class[2], strict=True)}
    return found
