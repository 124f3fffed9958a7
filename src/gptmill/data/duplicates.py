"""What stands more than once in a data set: exact duplicates, near-duplicates, and the same text under different labels."""

from collections.abc import Sequence

import pandas as pd

from gptmill.data import near_duplicates, text_files

ROWS_NAMED = 3


def mark_duplicates(texts: pd.Series, threshold: float) -> pd.DataFrame:
    """The `group` of each text (see `near_duplicates.group`), `is_duplicate` and `is_near_duplicate` (1.0 or 0.0); null for missing texts.

    A duplicate repeats an earlier text, whatever its case and spacing. A near-duplicate is in the group of an earlier text, and repeats
    none. So texts = groups + duplicates + near-duplicates, however they are ordered.
    """
    there = texts.notna()
    group = near_duplicates.group(texts, threshold)
    duplicate = texts.map(text_files.normalise, na_action="ignore").duplicated()
    near = group.duplicated() & ~duplicate
    return pd.DataFrame(
        {
            "group": group,
            "is_duplicate": duplicate.astype("float64").where(there),
            "is_near_duplicate": near.astype("float64").where(there),
        }
    )


def label_conflicts(frame: pd.DataFrame, labels: Sequence[str]) -> pd.Series:
    """For each row of `row`, `label` and `text`, which other labels its text has and where, in words; null when it has no other.

    Texts are the same whatever their case and spacing. Empty ones and rows with labels that are not among `labels` contradict nobody.
    """
    texts = frame["text"].map(text_files.normalise, na_action="ignore").astype("str")
    sound = frame[frame["label"].isin(labels) & (texts.fillna("") != "")]
    found: dict[int, str] = {}
    for _, same in sound.groupby(texts, sort=False):
        if same["label"].nunique() > 1:
            rows = {label: of_label["row"].tolist() for label, of_label in same.groupby("label")}
            for index, label in same["label"].items():
                found[index] = ", ".join(
                    f"{other} ({_name(rows[other])})" for other in labels if other in rows and other != label
                )
    return pd.Series(found, index=frame.index, dtype="str")


def _name(rows: list[int]) -> str:
    more = len(rows) - ROWS_NAMED
    named = ", ".join(map(str, rows[:ROWS_NAMED]))
    return f"row{'s' if len(rows) > 1 else ''} {named}{f' and {more:,} more' if more > 0 else ''}"
