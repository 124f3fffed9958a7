"""The documents of a corpus, measured in its token files: slice by slice, so that its size does not matter, and not encoded again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gptmill.report.lengths import Lengths

SLICE = 1 << 22  # tokens that are looked at together


@dataclass(frozen=True)
class Document:
    """`place`: the how-maniest document it is, from 1; `start` and `stop`: its tokens, counted through all splits."""

    place: int
    start: int
    stop: int


@dataclass(frozen=True)
class Documents:
    lengths: Lengths  # without the end-of-text token
    ends: dict[str, int]  # how many documents end in each split
    chosen: list[Document]


def measure(splits: Mapping[str, Sequence[int]], end_of_text: int, choose: int, slice_size: int = SLICE) -> Documents:
    """`splits`: ids of each, one after the other; a document may begin in one and end in the next. `choose`: evenly spaced ones to show."""
    total = sum(map(len, splits.values()))
    wanted = [(2 * n + 1) * total // (2 * choose) for n in range(choose)]  # whatever document is there
    lengths, chosen, ends = Lengths(), [], dict.fromkeys(splits, 0)
    place, start = 1, 0  # of the document that is open

    def close(at: np.ndarray) -> None:
        nonlocal place, start
        starts = np.concatenate([[start], at[:-1] + 1])
        for length, texts in zip(*np.unique(at - starts, return_counts=True), strict=True):
            lengths.add(int(length), int(texts))
        while wanted and wanted[0] <= at[-1]:
            n = int(np.searchsorted(at, wanted.pop(0)))
            if not chosen or chosen[-1].place != place + n:
                chosen.append(Document(place + n, int(starts[n]), int(at[n])))
        place, start = place + len(at), int(at[-1]) + 1

    for split, offset, piece in _pieces(splits, slice_size):
        at = np.flatnonzero(piece == end_of_text) + offset
        ends[split] += len(at)
        if len(at):
            close(at)
    if start < total:  # a file that was cut may end without an end of text
        ends[split] += 1
        close(np.array([total]))
    return Documents(lengths, ends, chosen)


def cut_out(splits: Mapping[str, Sequence[int]], start: int, stop: int) -> list[int]:
    """Tokens `start` to `stop`, counted through all splits."""
    ids: list[int] = []
    for part in splits.values():
        ids += [int(i) for i in part[max(start, 0) : max(stop, 0)]]
        start, stop = start - len(part), stop - len(part)
    return ids


def _pieces(splits: Mapping[str, Sequence[int]], size: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """(split, where the piece starts, counted through all splits, its ids)."""
    offset = 0
    for split, part in splits.items():
        for start in range(0, len(part), size):
            yield split, offset + start, np.asarray(part[start : start + size])
        offset += len(part)
