"""Splits without leaks: rows that say the same stay together, and the order of the input decides nothing.

Each row belongs to a group, the rows whose text is the same but for case, spacing and punctuation. Groups stand in the order of a hash of
the seed and that text, and are dealt to the splits along that order.
"""

import hashlib

import pandas as pd

from gptmill.data import rawtext
from gptmill.errors import GptmillError
from gptmill.params import SharesParams

GROUP = "group"


def arrange(frame: pd.DataFrame, texts: pd.Series, seed: int) -> pd.DataFrame:
    """The rows in their hash order, with their group in an additional column. Rows of a group are ordered by their columns."""
    groups = texts.map(lambda text: _hash(seed, rawtext.grouping_key(text)))
    return frame.assign(**{GROUP: groups}).sort_values([GROUP, *frame.columns], ignore_index=True)


def divide(arranged: pd.DataFrame, shares: SharesParams, stratum: str | None, name: str) -> dict[str, pd.DataFrame]:
    """Deals the groups of each stratum; a split's share is kept to within one group. Input is what `arrange` returned, or part of it.

    A group of mixed labels counts as its first label in the alphabet. Raises `GptmillError` when a split would be empty.
    """
    strata = arranged.groupby(GROUP)[stratum].transform("min") if stratum else pd.Series("all", index=arranged.index)
    sizes = arranged.groupby([strata, GROUP]).size()  # sorted by group, which is the hash order, within each stratum
    within = sizes.groupby(level=0)
    # A group goes where its middle falls on the line of all rows.
    middle = (within.cumsum() - sizes / 2) / within.transform("sum")
    chosen = pd.Series("test", index=sizes.index)
    chosen[middle < shares.train + shares.validation] = "validation"
    chosen[middle < shares.train] = "train"
    of_row = arranged[GROUP].map(chosen.droplevel(0))
    parts = {split: arranged[of_row == split].drop(columns=GROUP).reset_index(drop=True) for split in ("train", "validation", "test")}
    for split, part in parts.items():
        if part.empty:
            raise GptmillError(
                f"{name}: the {split} split would be empty: {len(arranged):,} rows with {len(sizes):,} different texts are too few for "
                f"train {shares.train} and validation {shares.validation}. Change split.{name} in params.yaml, or use more data."
            )
    return parts


def summary(parts: dict[str, pd.DataFrame]) -> str:
    return ", ".join(f"{split} {len(part):,}" for split, part in parts.items())


def _hash(seed: int, key: str) -> str:
    return hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=16).hexdigest()
