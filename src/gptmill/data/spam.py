"""The messages: one a line, `label<TAB>text`, no quoting and no header, as in the SMS Spam Collection (Almeida et al. 2011)."""

from pathlib import Path

import pandas as pd

from gptmill.data import rawtext, splits, tables
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


def describe(frame: pd.DataFrame) -> dict[str, int]:
    """Duplicates are messages whose text has stood before, whatever its case and spacing."""
    return {
        "messages": len(frame),
        **{label: int((frame["label"] == label).sum()) for label in LABELS},
        "duplicates": int(frame["text"].dropna().map(rawtext.normalise).duplicated().sum()),
    }


def split(frame: pd.DataFrame, params: SpamSplitParams, seed: int) -> dict[str, pd.DataFrame]:
    """Train, validation and test frames of `label` and `text`, stratified by label.

    `balance: undersample` first takes as many messages of each label as the rarer one has (the book, chapter 6.2).
    Raises `GptmillError` when a split would be empty.
    """
    messages = splits.arrange(frame[["label", "text"]], frame["text"], seed)
    if params.balance == "undersample":
        rarest = min((messages["label"] == label).sum() for label in LABELS)
        messages = messages.groupby("label", sort=False).head(rarest)
    return splits.divide(messages, params, stratum="label", name="spam")
