"""Splits without leaks: rows that say the same, or nearly, stay together, and the order of the input decides nothing.

The stage validate gave each row its group. Groups stand in the order of a hash of the seed and the group, and are dealt to the splits along
that order.
"""

import hashlib
from collections.abc import Sequence

import pandas as pd

from gptmill.config.data import SharesParams
from gptmill.core.errors import GptmillError

GROUP = "group"


def sort_by_hash(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows in the hash order of their groups, which becomes the column `group`. Rows of a group are ordered by their columns."""
    hashed = frame[GROUP].map(lambda group: hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=16).hexdigest())
    texts = [name for name in frame.columns if name != GROUP]
    return frame.assign(**{GROUP: hashed}).sort_values([GROUP, *texts], ignore_index=True)


def assign_groups(arranged: pd.DataFrame, shares: SharesParams, stratum: str | None) -> dict[str, pd.DataFrame]:
    """Deals the groups of each stratum; a split's share is kept to within one group. Input is what `arrange` returned.

    A group of mixed labels counts as the label that most of its rows have, the first in the alphabet where two are as frequent.
    """
    sizes = arranged.groupby(GROUP).size()  # sorted by group, which is the hash order
    strata = pd.Series("all", index=sizes.index)
    if stratum:
        strata = arranged.groupby([GROUP, stratum]).size().unstack(fill_value=0).idxmax(axis="columns")
    within = sizes.groupby(strata)
    # A group goes where its middle falls on the line of all rows of its stratum.
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
    """As many rows of each class as the rarest has: the first ones of a split, which stands in hash order, so that chance draws them."""
    rarest = min((part["label"] == label).sum() for label in labels)
    return part.groupby("label", sort=False).head(rarest).reset_index(drop=True)


def require_nonempty(parts: dict[str, pd.DataFrame], rows: int, name: str) -> None:
    """Raises `GptmillError` when a split is empty."""
    for split, part in parts.items():
        if part.empty:
            raise GptmillError(
                f"{name}: the {split} split would be empty: {rows:,} rows are too few, or too many of them are nearly the same. "
                f"Change the shares of split.{name} or data.expectations.near_duplicate_similarity in params.yaml, or use more data."
            )


def require_all_classes(parts: dict[str, pd.DataFrame], labels: Sequence[str], name: str) -> None:
    """Raises `GptmillError` when a split has no row of a class."""
    for split, part in parts.items():
        missing = [label for label in labels if label not in set(part["label"])]
        if missing:
            raise GptmillError(
                f"{name}: the {split} split would have no row of class {missing[0]}. Change the shares or the balance of split.{name} in "
                "params.yaml, or use more data of that class."
            )


def summary(parts: dict[str, pd.DataFrame]) -> str:
    return ", ".join(f"{split} {len(part):,}" for split, part in parts.items())
