"""The labelled texts: SMS messages by default, one a line as `label<TAB>text` (the SMS Spam Collection, Almeida et al. 2011)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gptmill.data import formats, rawtext, splits
from gptmill.params import SpamParams, SpamSplitParams


def read(path: Path, params: SpamParams) -> pd.DataFrame:
    """One row a record: `row`, `label`, `text`; null where a record lacks one. Raises `GptmillError` when nothing can be read."""
    frame = formats.read(path, formats.layout("data.spam", params))
    if params.columns and not params.quotes:  # a line without a separator is a label or, more likely, a text
        alone = frame["text"].isna() & frame["label"].notna() & ~frame["label"].isin(params.labels)
        frame.loc[alone, "text"] = frame.loc[alone, "label"].replace("", None)
        frame.loc[alone, "label"] = None
    return frame


def describe(frame: pd.DataFrame, labels: Sequence[str]) -> dict[str, int]:
    """Duplicates are messages whose text has stood before, whatever its case and spacing."""
    return {
        "messages": len(frame),
        **{label: int((frame["label"] == label).sum()) for label in labels},
        "duplicates": int(frame["text"].dropna().map(rawtext.normalise).duplicated().sum()),
    }


def split(frame: pd.DataFrame, params: SpamSplitParams, seed: int, labels: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Train, validation and test frames of `label` and `text`, stratified by label.

    `balance: undersample` first takes as many messages of each label as the rarer one has (the book, chapter 6.2).
    Raises `GptmillError` when a split would be empty.
    """
    messages = splits.arrange(frame[["label", "text"]], frame["text"], seed)
    if params.balance == "undersample":
        rarest = min((messages["label"] == label).sum() for label in labels)
        messages = messages.groupby("label", sort=False).head(rarest)
    return splits.divide(messages, params, stratum="label", name="spam")
