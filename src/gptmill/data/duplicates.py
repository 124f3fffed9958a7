"""Exact duplicates, near-duplicates, and texts with conflicting labels in a data set."""

from collections.abc import Sequence

import pandas as pd

from gptmill.data import near_duplicates, text_files

ROWS_NAMED = 3


def mark_duplicates(texts: pd.Series, threshold: float) -> pd.DataFrame:
    """The `group` of each text (see `near_duplicates.group`), `is_duplicate` and `is_near_duplicate` (1.0 or 0.0); null
    for missing texts.

    A duplicate repeats an earlier text but for case and spacing. A near-duplicate is in the group of an earlier text,
    and repeats none. So texts = groups + duplicates + near-duplicates, in any order.
    """
    present = texts.notna()
    group = near_duplicates.group(texts, threshold)
    duplicate = texts.map(text_files.normalise, na_action="ignore").duplicated()
    near = group.duplicated() & ~duplicate
    return pd.DataFrame(
        {
            "group": group,
            "is_duplicate": duplicate.astype("float64").where(present),
            "is_near_duplicate": near.astype("float64").where(present),
        }
    )


def label_conflicts(frame: pd.DataFrame, labels: Sequence[str]) -> pd.Series:
    """For each row of `row`, `label` and `text`: the other labels of its text with their rows, as a message; null
    without any.

    Case and spacing of texts are ignored, and so are empty texts and rows whose label is not among `labels`.
    """
    texts = frame["text"].map(text_files.normalise, na_action="ignore").astype("str")
    valid = frame[frame["label"].isin(labels) & (texts.fillna("") != "")]
    conflicts: dict[int, str] = {}
    for _, same in valid.groupby(texts, sort=False):
        if same["label"].nunique() > 1:
            rows = {label: of_label["row"].tolist() for label, of_label in same.groupby("label")}
            for index, label in same["label"].items():
                others = (other for other in labels if other in rows and other != label)
                conflicts[index] = ", ".join(f"{other} ({_name(rows[other])})" for other in others)
    return pd.Series(conflicts, index=frame.index, dtype="str")


def _name(rows: list[int]) -> str:
    more = len(rows) - ROWS_NAMED
    named = ", ".join(map(str, rows[:ROWS_NAMED]))
    return f"row{'s' if len(rows) > 1 else ''} {named}{f' and {more:,} more' if more > 0 else ''}"
