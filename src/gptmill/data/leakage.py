"""Leakage: how many pairs of texts that say the same, or nearly, stand in different splits, counted from the texts alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from gptmill.core.errors import GptmillError
from gptmill.data import near_duplicates, text_files

SHOWN = 100  # characters


@dataclass(frozen=True)
class Leakage:
    exact: int  # pairs with the same grouping key
    near: int  # pairs of near-duplicates
    example: str | None = None  # a pair, in words

    def report(self) -> dict[str, int]:
        return {"exact": self.exact, "near": self.near}


def measure(texts: Mapping[str, pd.Series], threshold: float) -> Leakage:
    """Pairs of rows in two of the splits `texts`. Near-duplicates have a Jaccard similarity of `threshold` or more; see `near_duplicates`.

    What `groups` did plays no part, nor do the hashes that made them: `near_duplicates.cross_split_pairs` misses nothing.
    """
    keys = {split: part.map(text_files.grouping_key) for split, part in texts.items()}
    counts = {split: Counter(part) for split, part in keys.items()}
    exact, near, example = 0, 0, None
    for one, other in combinations(counts, 2):
        for key in sorted(counts[one].keys() & counts[other].keys()):
            exact += counts[one][key] * counts[other][key]
            example = example or _show(texts, keys, (one, key), (other, key))
    for one, other in near_duplicates.cross_split_pairs(counts, threshold):
        near += counts[one[0]][one[1]] * counts[other[0]][other[1]]
        example = example or _show(texts, keys, one, other)
    return Leakage(exact, near, example)


def raise_for_leakage(leakage: Leakage, name: str) -> None:
    """Raises `GptmillError`, with a pair, when there is any."""
    if leakage.example:
        raise GptmillError(
            f"{name}: {leakage.exact:,} pairs of texts that say the same and {leakage.near:,} near-duplicates stand in different splits, "
            f"which measures would not survive: {leakage.example}. The groups of the rows are wrong, a fault of gptmill's and not of the "
            f"data: please report it. Until it is mended, another data.expectations.near_duplicate_similarity may help."
        )


def _show(texts: Mapping[str, pd.Series], keys: Mapping[str, pd.Series], *places: tuple[str, str]) -> str:
    shown = [f"{texts[split][keys[split] == key].iloc[0][:SHOWN]!r} in {split}" for split, key in places]
    return " and ".join(shown)
