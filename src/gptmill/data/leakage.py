"""Leakage: pairs of duplicates or near-duplicates in different splits, counted from the texts alone."""

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
    exact: int  # pairs with the same `grouping_key`
    near: int  # pairs of near-duplicates
    example: str | None = None  # a pair, for a message

    def report(self) -> dict[str, int]:
        return {"exact": self.exact, "near": self.near}


def measure(texts: Mapping[str, pd.Series], threshold: float) -> Leakage:
    """Counts pairs of rows in two splits. Near-duplicates have a Jaccard similarity of at least `threshold`.

    Independent of the groups and of MinHash: `near_duplicates.cross_split_pairs` is exact.
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
            f"{name}: {leakage.exact:,} pairs of duplicates and {leakage.near:,} of near-duplicates stand in different "
            f"splits, which would spoil all metrics: {leakage.example}. The groups are wrong, a bug of gptmill: "
            f"please report it. Until it is fixed, another data.expectations.near_duplicate_similarity may help."
        )


def _show(texts: Mapping[str, pd.Series], keys: Mapping[str, pd.Series], *places: tuple[str, str]) -> str:
    shown = [f"{texts[split][keys[split] == key].iloc[0][:SHOWN]!r} in {split}" for split, key in places]
    return " and ".join(shown)
