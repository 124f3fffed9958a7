"""Labelled texts: by default SMS messages, `label<TAB>text` per line (SMS Spam Collection, Almeida et al. 2011)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gptmill.config.data import SpamSplitParams
from gptmill.config.sources import SpamParams
from gptmill.data import book_splits, formats, splits


def read(path: Path, params: SpamParams) -> pd.DataFrame:
    """`row`, `label` and `text` of each record; null where missing. Raises `GptmillError` if nothing can be read."""
    frame = formats.read(path, formats.layout("data.spam", params))
    if params.columns and not params.quotes:  # a line without a separator is a text, unless it is a label
        alone = frame["text"].isna() & frame["label"].notna() & ~frame["label"].isin(params.labels)
        frame.loc[alone, "text"] = frame.loc[alone, "label"].replace("", None)
        frame.loc[alone, "label"] = None
    return frame


def split(frame: pd.DataFrame, labels: Sequence[str], params: SpamSplitParams, seed: int) -> dict[str, pd.DataFrame]:
    """Train, validation, test and natural frames of `label` and `text`; `natural` is the test split with all its rows.

    Rows are split by `group`, stratified by label; `balance: undersample` then takes as many rows of each class as the
    rarest class of the split has. Raises `GptmillError` when a split would be empty or lack a class that it needs.
    """
    if params.method == "book":
        parts = book_splits.messages(frame, labels, params, seed)
        splits.require_nonempty(parts, len(frame), "spam")
        return parts
    parts = splits.assign_groups(
        splits.sort_by_hash(frame[["label", "text", splits.GROUP]], seed), params, stratum="label"
    )
    splits.require_nonempty(parts, len(frame), "spam")
    balanced = list(parts) if params.balance == "undersample" else []
    splits.require_all_classes({name: parts[name] for name in balanced or ["train"]}, labels, "spam")
    return parts | {name: splits.undersample(parts[name], labels) for name in balanced} | {"natural": parts["test"]}
