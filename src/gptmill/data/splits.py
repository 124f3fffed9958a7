"""Splits without leakage: duplicates and near-duplicates stay together, and the order of the input does not matter.

The stage validate gave each row its group. Groups are ordered by a hash of seed and group, and assigned in that order.
"""

import hashlib
from collections.abc import Sequence

import pandas as pd

from gptmill.config.data import SharesParams
from gptmill.core.errors import GptmillError

GROUP = "group"


def sort_by_hash(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows sorted by the hash of their group, which replaces the column `group`, then by the other columns."""
    hashed = frame[GROUP].map(lambda group: hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=16).hexdigest())
    texts = [name for name in frame.columns if name != GROUP]
    return frame.assign(**{GROUP: hashed}).sort_values([GROUP, *texts], ignore_index=True)


def assign_groups(arranged: pd.DataFrame, shares: SharesParams, stratum: str | None) -> dict[str, pd.DataFrame]:
    """Train, validation and test. A split's share of each stratum is exact to within one group. Input: `sort_by_hash`'s
    result.

    A group of mixed labels counts as its most frequent label, the first in the alphabet of several.
    """
    sizes = arranged.groupby(GROUP).size()  # sorted by group, which is the hash order
    strata = pd.Series("all", index=sizes.index)
    if stratum:
        strata = arranged.groupby([GROUP, stratum]).size().unstack(fill_value=0).idxmax(axis="columns")
    within = sizes.groupby(strata)
    # A group belongs to the split where its middle falls, with all rows of its stratum in a line.
    middle = (within.cumsum() - sizes / 2) / within.transform("sum")
    chosen = pd.Series("test", index=sizes.index)
    chosen[middle < shares.train + shares.validation] = "validation"
    chosen[middle < shares.train] = "train"
    of_row = arranged[GROUP].map(chosen)
    return {
        split: arranged[of_row == split].drop(columns=GROUP).reset_index(drop=True)
        for split in ("train", "validation", "test")
    }


def undersample(part: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """As many rows of each class as the rarest has: the first ones, which are random as splits are in hash order."""
    rarest = min((part["label"] == label).sum() for label in labels)
    return part.groupby("label", sort=False).head(rarest).reset_index(drop=True)


def require_nonempty(parts: dict[str, pd.DataFrame], rows: int, name: str) -> None:
    """Raises `GptmillError` when a split is empty."""
    for split, part in parts.items():
        if part.empty:
            raise GptmillError(
                f"{name}: the {split} split would be empty: {rows:,} rows are too few or too similar. "
                f"Change the shares of split.{name} or data.expectations.near_duplicate_similarity in params.yaml, "
                "or use more data."
            )


def require_all_classes(parts: dict[str, pd.DataFrame], labels: Sequence[str], name: str) -> None:
    """Raises `GptmillError` when a split has no row of a class."""
    for split, part in parts.items():
        missing = [label for label in labels if label not in set(part["label"])]
        if missing:
            raise GptmillError(
                f"{name}: the {split} split would have no row of class {missing[0]}. Change the shares or balance of "
                f"split.{name} in params.yaml, or use more data of that class."
            )


def summary(parts: dict[str, pd.DataFrame]) -> str:
    return ", ".join(f"{split} {len(part):,}" for split, part in parts.items())
