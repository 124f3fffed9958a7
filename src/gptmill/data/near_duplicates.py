"""Texts that say nearly the same: found by MinHash, counted by Jaccard, and put into groups that no split may part.

A text is the set of the runs of five characters (shingles) in its `rawtext.grouping_key`: letters and digits alone, so that case, spacing
and punctuation decide nothing. Of ideographs and kana, two say as much as five letters. Two texts are near-duplicates when the Jaccard
similarity of their sets is at least a threshold.

Digits count as any character does: a long message with another phone number is the same message. Not so in a short text, whose number is
what it is about, and often ends it: there a changed digit touches one shingle and not five, "the square root of 16" would be as good as
that "of 169", and chains of such pairs would make one group of all texts of a template. So the digits of a short text must be the same.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

import pandas as pd

from gptmill.data import text_files
from gptmill.text import scripts

SHINGLE, DENSE_SHINGLE = 5, 2  # characters
SHORT, DENSE_SHORT = (
    50,
    20,
)  # characters of a key: in a shorter one, a changed character in the middle leaves a similarity below 0.8
BANDS, ROWS = 32, 4  # of a signature of 128 permutations


def shingles(key: str) -> frozenset[str]:
    """The runs of five characters in a grouping key, or of two; a shorter key is its own and only one."""
    size = DENSE_SHINGLE if scripts.is_dense(key) else SHINGLE
    return frozenset(key[start : start + size] for start in range(max(1, len(key) - size + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard: how much two sets share, from 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class _Text:
    def __init__(self, key: str) -> None:
        self.key, self.shingles = key, shingles(key)
        self.digits = "".join(filter(str.isdigit, key))
        self.is_short = len(key) < (DENSE_SHORT if scripts.is_dense(key) else SHORT)

    def is_near(self, other: "_Text", threshold: float) -> bool:
        if (self.is_short or other.is_short) and self.digits != other.digits:
            return False
        return jaccard(self.shingles, other.shingles) >= threshold


def group(texts: pd.Series, threshold: float) -> pd.Series:
    """The group of each text, a hash; null where there is no text. Which groups there are does not depend on the order of the texts.

    Texts with the same grouping key are one group, and so are those that a chain of near-duplicates joins.

    Candidates come from locality-sensitive hashing of MinHash signatures (Broder 1997; Leskovec, Rajaraman & Ullman 2020, section 3.4): two
    texts are compared when one of 32 bands of 4 rows agrees. Their similarity s makes a row agree with probability s, so that a pair
    is missed with probability (1 - s^4)^32: 5 in 10^8 at 0.8, 5 in 10^6 at 0.75, the lowest threshold that the parameters allow. What is
    found is then compared exactly: no pair is joined by chance. `leakage` counts without hashes, and would see a pair missed.
    """
    keys = texts.map(text_files.grouping_key, na_action="ignore")
    distinct = sorted(set(keys.dropna()))
    names: dict[str, str] = {}
    for members in _chains([_Text(key) for key in distinct], threshold):
        name = hashlib.blake2b(distinct[min(members)].encode(), digest_size=16).hexdigest()
        names |= {distinct[member]: name for member in members}
    return keys.map(names, na_action="ignore").astype("str")


def _chains(texts: Sequence[_Text], threshold: float) -> Iterable[set[int]]:
    """The places of the texts, those together that a chain of near-duplicates joins."""
    from datasketch import MinHash, sha1_hash64
    from networkx.utils import UnionFind

    hashed = cache(lambda shingle: sha1_hash64(shingle.encode()))
    # Seed and scheme of the permutations are fixed: what is a near-duplicate is no random choice of a run's.
    signatures = MinHash.generator(
        (text.shingles for text in texts), num_perm=BANDS * ROWS, seed=1, hashfunc=hashed, scheme="affine64"
    )
    chains, rarest = UnionFind(range(len(texts))), _rarest(texts, threshold)
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for place, signature in enumerate(signatures):
        mine = [buckets[band, signature.hashvalues[band * ROWS : (band + 1) * ROWS].tobytes()] for band in range(BANDS)]
        # datasketch's own index gives the same candidates; here those that can't be near are passed over before anything is compared,
        # of which there are millions when thousands of texts are made by one template.
        for other in set().union(*mine):
            if rarest[place].isdisjoint(rarest[other]) or chains[place] == chains[other]:
                continue
            if texts[place].is_near(texts[other], threshold):
                chains.union(place, other)
        for bucket in mine:
            bucket.append(place)
    return chains.to_sets()


def _rarest(texts: Sequence[_Text], threshold: float) -> list[frozenset[str]]:
    """The rarest shingles of each text, so many that near-duplicates have one of them in common.

    Of n, these are the first n - ⌈threshold · n⌉ + 1 in an order that is the same for all texts (prefix filtering: Chaudhuri, Ganti &
    Kaushik 2006; Bayardo, Ma & Srikant 2007).
    """
    counts = Counter(shingle for text in texts for shingle in text.shingles)
    found = []
    for text in texts:
        size = len(text.shingles)
        # A little less than the threshold, so that rounding can only make it more of them.
        many = size - math.ceil((threshold - 1e-9) * size) + 1
        found.append(frozenset(sorted(text.shingles, key=lambda shingle: (counts[shingle], shingle))[:many]))
    return found


def cross_split_pairs(
    sides: Mapping[str, Iterable[str]], threshold: float
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Every pair of near-duplicates, not the same, of which one is on one of the `sides` and one on another: none missed and none twice.

    `sides`: the grouping keys on each. Yields ((side, key), (other side, other key)).
    """
    texts = {key: _Text(key) for keys in sides.values() for key in keys}
    rarest = dict(zip(texts, _rarest(list(texts.values()), threshold), strict=True))
    seen: dict[str, list[tuple[str, str]]] = defaultdict(list)  # by shingle, what stands on the sides before
    for side, keys in sides.items():
        here = [(key, rarest[key]) for key in sorted(set(keys))]
        for key, shared in here:
            for before, other in sorted({place for shingle in shared for place in seen[shingle]}):
                if other != key and texts[key].is_near(texts[other], threshold):
                    yield (before, other), (side, key)
        for key, shared in here:
            for shingle in shared:
                seen[shingle].append((side, key))
