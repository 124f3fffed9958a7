"""Lengths and splits of a corpus' documents, from its token files, slice by slice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gptmill.report.lengths import Lengths

SLICE = 1 << 22  # tokens in memory


@dataclass(frozen=True)
class Document:
    """`place`: its number, from 1. `start`, `stop`: its tokens, counted across the splits."""

    place: int
    start: int
    stop: int


@dataclass(frozen=True)
class Documents:
    lengths: Lengths  # without the end-of-text token
    ends: dict[str, int]  # documents that end in each split
    chosen: list[Document]


def measure(splits: Mapping[str, Sequence[int]], end_of_text: int, choose: int, slice_size: int = SLICE) -> Documents:
    """`splits`: consecutive token ids; a document may span two. `choose`: evenly spaced documents to show."""
    total = sum(map(len, splits.values()))
    targets = [(2 * n + 1) * total // (2 * choose) for n in range(choose)]  # tokens, whose documents are chosen
    lengths, chosen, ends = Lengths(), [], dict.fromkeys(splits, 0)
    place, start = 1, 0  # of the open document

    def close(at: np.ndarray) -> None:
        nonlocal place, start
        starts = np.concatenate([[start], at[:-1] + 1])
        for length, texts in zip(*np.unique(at - starts, return_counts=True), strict=True):
            lengths.add(int(length), int(texts))
        while targets and targets[0] <= at[-1]:
            n = int(np.searchsorted(at, targets.pop(0)))
            if not chosen or chosen[-1].place != place + n:
                chosen.append(Document(place + n, int(starts[n]), int(at[n])))
        place, start = place + len(at), int(at[-1]) + 1

    for split, offset, piece in _pieces(splits, slice_size):
        at = np.flatnonzero(piece == end_of_text) + offset
        ends[split] += len(at)
        if len(at):
            close(at)
    if start < total:  # a truncated file may lack the last end of text
        ends[split] += 1
        close(np.array([total]))
    return Documents(lengths, ends, chosen)


def cut_out(splits: Mapping[str, Sequence[int]], start: int, stop: int) -> list[int]:
    """Tokens `start` to `stop`, counted across the splits."""
    ids: list[int] = []
    for part in splits.values():
        ids += [int(i) for i in part[max(start, 0) : max(stop, 0)]]
        start, stop = start - len(part), stop - len(part)
    return ids


def _pieces(splits: Mapping[str, Sequence[int]], size: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """(split, first token counted across the splits, ids)."""
    offset = 0
    for split, part in splits.items():
        for start in range(0, len(part), size):
            yield split, offset + start, np.asarray(part[start : start + size])
        offset += len(part)
