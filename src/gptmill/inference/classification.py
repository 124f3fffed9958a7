"""A classifier's predictions: the probability of each class."""

from collections.abc import Sequence

import torch

from gptmill.model.gpt import GPTClassifier
from gptmill.runtime.device import Runtime
from gptmill.text.tokenizer import Tokenizer


@torch.inference_mode()
def probabilities(
    model: GPTClassifier,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int,
    runtime: Runtime,
    batch_size: int = 64,
) -> list[list[float]]:
    """(texts, classes) probabilities, in the order of the model's labels. An empty text is read as end-of-text."""
    model.to(runtime.device).eval()
    rows = [tokenizer.encode(text)[:max_length] or [tokenizer.end_of_text] for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # batches of like length
    result: list[list[float]] = [[]] * len(rows)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        lengths = torch.tensor([len(rows[i]) for i in batch])
        tokens = torch.full((len(batch), int(lengths.max())), tokenizer.end_of_text)
        for j, i in enumerate(batch):
            tokens[j, : lengths[j]] = torch.tensor(rows[i])
        with runtime.autocast():
            logits = model(tokens.to(runtime.device), lengths.to(runtime.device)).float()
        for i, row in zip(batch, logits.softmax(1).tolist(), strict=True):
            result[i] = row
    return result


def top_label(probabilities: Sequence[float], labels: Sequence[str]) -> tuple[str, float]:
    """The top-1 label with its probability; of equal ones the first."""
    top = max(range(len(probabilities)), key=probabilities.__getitem__)
    return labels[top], probabilities[top]
