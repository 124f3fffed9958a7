"""The messages: one a line, `label<TAB>text`, no quoting and no header, as in the SMS Spam Collection (Almeida et al. 2011)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gptmill.data import book_splits, rawtext, splits, tables
from gptmill.errors import GptmillError
from gptmill.params import SpamSplitParams

LABELS = ("ham", "spam")


def read(path: Path) -> pd.DataFrame:
    """One row a line: `row` (the line number), `label`, `text`; null where a line lacks one.

    Only a line feed ends a line: messages hold quotes, trailing spaces and characters that `str.splitlines` would take for line ends.
    Raises `GptmillError` when the file can't be read as text or no line has a tab.
    """
    lines = rawtext.read(path).removesuffix("\n").split("\n")
    if not any("\t" in line for line in lines):
        raise GptmillError(f"{path} has no tab in any of its {len(lines):,} lines: label<TAB>text is expected. {rawtext.FETCH_AGAIN}")
    labels, texts = zip(*map(_divide, lines), strict=True)
    return pd.DataFrame({"row": range(1, len(lines) + 1), "label": tables.strings(labels), "text": tables.strings(texts)})


def _divide(line: str) -> tuple[str | None, str | None]:
    label, tab, text = line.partition("\t")
    if tab:
        return label, text
    return (label, None) if label in LABELS else (None, line or None)


def split(frame: pd.DataFrame, labels: Sequence[str], params: SpamSplitParams, seed: int) -> dict[str, pd.DataFrame]:
    """Train, validation, test and natural frames of `label` and `text`; `natural` is the test split as the classes really are spread.

    The rows are first divided by their `group`, stratified by label; `balance: undersample` then takes, within each split, as many rows of
    each class as its rarest has. Raises `GptmillError` when a split would be empty or lack a class that it needs.
    """
    if params.method == "book":
        parts = book_splits.messages(frame, labels, params, seed)
        splits.demand(parts, len(frame), "spam")
        return parts
    parts = splits.divide(splits.arrange(frame[["label", "text", splits.GROUP]], seed), params, stratum="label")
    splits.demand(parts, len(frame), "spam")
    balanced = list(parts) if params.balance == "undersample" else []
    splits.demand_classes({name: parts[name] for name in balanced or ["train"]}, labels, "spam")
    return parts | {name: splits.undersample(parts[name], labels) for name in balanced} | {"natural": parts["test"]}
