"""Near-duplicates: candidates by MinHash, confirmed by Jaccard similarity, joined to groups that no split divides.

A text is the set of 5-character shingles of its `text_files.grouping_key`: letters and digits alone, so case, spacing
and punctuation are ignored. Of ideographs and kana, shingles have 2 characters. Two texts are near-duplicates when the
Jaccard similarity of their sets is at least a threshold.

Digits are characters like others: a long message with another phone number is a near-duplicate. In a short text the
number is the content, and often its end, where a changed digit touches one shingle and not five: "the square root of
16" would match that "of 169", and chains of such pairs would join all texts of a template. So short texts must have
equal digits.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

import pandas as pd

from gptmill.data import text_files
from gptmill.text import writing_systems

SHINGLE, DENSE_SHINGLE = 5, 2  # characters
# Characters of a key: in a shorter one, a changed character in the middle leaves a similarity below 0.8.
SHORT, DENSE_SHORT = 50, 20
BANDS, ROWS = 32, 4  # of a signature of 128 permutations


def shingles(key: str) -> frozenset[str]:
    """Shingles of 5 characters, or 2 of dense scripts; a shorter key is its only shingle."""
    size = DENSE_SHINGLE if writing_systems.is_dense(key) else SHINGLE
    return frozenset(key[start : start + size] for start in range(max(1, len(key) - size + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity, from 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class _Text:
    def __init__(self, key: str) -> None:
        self.key, self.shingles = key, shingles(key)
        self.digits = "".join(filter(str.isdigit, key))
        self.is_short = len(key) < (DENSE_SHORT if writing_systems.is_dense(key) else SHORT)

    def is_near(self, other: "_Text", threshold: float) -> bool:
        if (self.is_short or other.is_short) and self.digits != other.digits:
            return False
        return jaccard(self.shingles, other.shingles) >= threshold


def group(texts: pd.Series, threshold: float) -> pd.Series:
    """The group of each text, as a hash; null for missing texts. Groups do not depend on the order of the texts.

    Texts with equal grouping keys, and those joined by a chain of near-duplicates, are one group.

    Candidates come from locality-sensitive hashing of MinHash signatures (Broder 1997; Leskovec, Rajaraman & Ullman
    2020, section 3.4): two texts are compared when one of 32 bands of 4 rows agrees. A row agrees with probability s,
    the similarity, so a pair is missed with probability (1 - s^4)^32: 5 in 10^8 at 0.8, 5 in 10^6 at 0.75, the lowest
    threshold that params allow. Candidates are then compared exactly. `leakage` counts without hashes, and would see a
    missed pair.
    """
    keys = texts.map(text_files.grouping_key, na_action="ignore")
    distinct = sorted(set(keys.dropna()))
    names: dict[str, str] = {}
    for members in _chains([_Text(key) for key in distinct], threshold):
        name = hashlib.blake2b(distinct[min(members)].encode(), digest_size=16).hexdigest()
        names |= {distinct[member]: name for member in members}
    return keys.map(names, na_action="ignore").astype("str")


def _chains(texts: Sequence[_Text], threshold: float) -> Iterable[set[int]]:
    """Indices of the texts, in sets joined by chains of near-duplicates."""
    from datasketch import MinHash, sha1_hash64
    from networkx.utils import UnionFind

    hashed = cache(lambda shingle: sha1_hash64(shingle.encode()))
    # Seed and scheme of the permutations are fixed, so that groups do not depend on the run's seed.
    signatures = MinHash.generator(
        (text.shingles for text in texts), num_perm=BANDS * ROWS, seed=1, hashfunc=hashed, scheme="affine64"
    )
    chains, rarest = UnionFind(range(len(texts))), _rarest(texts, threshold)
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for i, signature in enumerate(signatures):
        mine = [buckets[band, signature.hashvalues[band * ROWS : (band + 1) * ROWS].tobytes()] for band in range(BANDS)]
        # datasketch's index gives the same candidates; here impossible ones are skipped before they are compared:
        # thousands of texts of one template have millions of them.
        for other in set().union(*mine):
            if rarest[i].isdisjoint(rarest[other]) or chains[i] == chains[other]:
                continue
            if texts[i].is_near(texts[other], threshold):
                chains.union(i, other)
        for bucket in mine:
            bucket.append(i)
    return chains.to_sets()


def _rarest(texts: Sequence[_Text], threshold: float) -> list[frozenset[str]]:
    """The rarest shingles of each text, enough for near-duplicates to share one of them (prefix filtering).

    Of n, the first n - ⌈threshold · n⌉ + 1 in an order common to all texts (Chaudhuri, Ganti & Kaushik 2006; Bayardo,
    Ma & Srikant 2007).
    """
    counts = Counter(shingle for text in texts for shingle in text.shingles)
    rarest = []
    for text in texts:
        size = len(text.shingles)
        # Slightly below the threshold, so that rounding can only add shingles.
        many = size - math.ceil((threshold - 1e-9) * size) + 1
        rarest.append(frozenset(sorted(text.shingles, key=lambda shingle: (counts[shingle], shingle))[:many]))
    return rarest


def cross_split_pairs(
    splits: Mapping[str, Iterable[str]], threshold: float
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """All pairs of different near-duplicates in two splits, each once, exactly.

    `splits`: name -> grouping keys. Yields ((split, key), (other split, other key)).
    """
    texts = {key: _Text(key) for keys in splits.values() for key in keys}
    rarest = dict(zip(texts, _rarest(list(texts.values()), threshold), strict=True))
    seen: dict[str, list[tuple[str, str]]] = defaultdict(list)  # shingle -> (split, key) of earlier splits
    for split, keys in splits.items():
        here = [(key, rarest[key]) for key in sorted(set(keys))]
        for key, shared in here:
            for earlier, other in sorted({pair for shingle in shared for pair in seen[shingle]}):
                if other != key and texts[key].is_near(texts[other], threshold):
                    yield (earlier, other), (split, key)
        for key, shared in here:
            for shingle in shared:
                seen[shingle].append((split, key))
