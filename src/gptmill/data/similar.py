"""Texts that say nearly the same: found by MinHash, counted by Jaccard, and put into groups that no split may part.

A text is the set of the runs of five characters (shingles) in its `rawtext.grouping_key`: letters and digits alone, so that case, spacing
and punctuation decide nothing. Two texts are near-duplicates when the Jaccard similarity of their sets is at least a threshold.

Digits count as any character does: a long message with another phone number is the same message. Not so in a short text, whose number is
what it is about, and often ends it: there a changed digit touches one shingle and not five, "the square root of 16" would be as good as
that "of 169", and chains of such pairs would make one group of all texts of a template. So the digits of a short text must be the same.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import pandas as pd

from gptmill.data import rawtext

SHINGLE = 5  # characters
SHORT = 50  # characters of a key: in a shorter one, a changed character in the middle leaves a similarity below 0.8
BANDS, ROWS = 32, 4  # of a signature of 128 permutations


def shingles(key: str) -> frozenset[str]:
    """The runs of five characters in a grouping key; a shorter key is its own and only one."""
    return frozenset(key[start : start + SHINGLE] for start in range(max(1, len(key) - SHINGLE + 1)))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard: how much two sets share, from 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class _Text:
    def __init__(self, key: str) -> None:
        self.key, self.shingles = key, shingles(key)
        self.digits = "".join(filter(str.isdigit, key))
        self.is_short = len(key) < SHORT

    def is_near(self, other: "_Text", threshold: float) -> bool:
        if (self.is_short or other.is_short) and self.digits != other.digits:
            return False
        return similarity(self.shingles, other.shingles) >= threshold


def group(texts: pd.Series, threshold: float) -> pd.Series:
    """The group of each text, a hash; null where there is no text. Which groups there are does not depend on the order of the texts.

    Texts with the same grouping key are one group, and so are those that a chain of near-duplicates joins.

    Candidates come from locality-sensitive hashing of MinHash signatures (Broder 1997; Leskovec, Rajaraman & Ullman 2020, section 3.4): two
    texts are compared when one of 32 bands of 4 rows agrees. Their similarity s makes a row agree with probability s, so that a pair
    is missed with probability (1 - s^4)^32: 5 in 10^8 at 0.8, 5 in 10^6 at 0.75, the lowest threshold that the parameters allow. What is
    found is then compared exactly: no pair is joined by chance. `leakage` counts without these hashes, and would see a pair missed.
    """
    from networkx.utils import UnionFind

    keys = texts.map(rawtext.grouping_key, na_action="ignore")
    distinct = sorted(set(keys.dropna()))
    known = [_Text(key) for key in distinct]
    joined = UnionFind(range(len(distinct)))
    for one, other in _candidates([text.shingles for text in known]):
        if joined[one] != joined[other] and known[one].is_near(known[other], threshold):
            joined.union(one, other)
    names: dict[str, str] = {}
    for members in joined.to_sets():
        name = hashlib.blake2b(distinct[min(members)].encode(), digest_size=16).hexdigest()
        names |= {distinct[member]: name for member in members}
    return keys.map(names, na_action="ignore").astype("str")


def _candidates(sets: Sequence[frozenset[str]]) -> Iterator[tuple[int, int]]:
    """Pairs of places whose signatures agree in a band."""
    from datasketch import MinHash, MinHashLSH, sha1_hash64

    hashed = cache(lambda shingle: sha1_hash64(shingle.encode()))
    # Seed and scheme of the permutations are fixed: what is a near-duplicate is no random choice of a run's.
    signatures = MinHash.generator(sets, num_perm=BANDS * ROWS, seed=1, hashfunc=hashed, scheme="affine64")
    seen = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    for place, signature in enumerate(signatures):
        yield from ((other, place) for other in seen.query(signature))
        seen.insert(place, signature)


def close_pairs(keys: Iterable[str], threshold: float) -> Iterator[tuple[str, str]]:
    """Every pair of different grouping keys that are near-duplicates at `threshold`, none missed and none twice.

    Sets that are so alike share one of their rarest shingles: of n, one of the first n - ⌈threshold · n⌉ + 1 in an order that is the same
    for all (prefix filtering: Chaudhuri, Ganti & Kaushik 2006; Bayardo, Ma & Srikant 2007). Only pairs that do are compared.
    """
    distinct = sorted(set(keys))
    known = [_Text(key) for key in distinct]
    counts = Counter(shingle for text in known for shingle in text.shingles)
    places: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(known):
        one = text.shingles
        # A little less than the threshold, so that rounding can only make the prefix longer.
        longest = len(one) - int(-(-(threshold - 1e-9) * len(one) // 1)) + 1
        prefix = sorted(one, key=lambda shingle: (counts[shingle], shingle))[:longest]
        for other in sorted({other for shingle in prefix for other in places[shingle]}):
            if text.is_near(known[other], threshold):
                yield distinct[other], distinct[place]
        for shingle in prefix:
            places[shingle].append(place)
