"""The corpus as token ids: what a tokenizer is trained on, and its encoding on all cores, in the order of the documents."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gptmill.data import corpus
from gptmill.data.corpus import PIECE_CHARACTERS, Piece
from gptmill.text import token_files
from gptmill.text.tokenizer import Tokenizer

LONGEST_TRAINING_TEXT = 1 << 28  # characters; more of a corpus than that hardly changes which pairs are frequent
AHEAD = 3  # stretches of text for each worker that are under way or wait for their turn


def write(
    tokenizer: Tokenizer, text: Path, folder: Path, validation_share: float, context_length: int, threads: int
) -> dict[str, int]:
    """The cleaned corpus as token files; returns what meta.json says. `threads`: that many work side by side; 0: one for each core."""
    pieces = corpus.read(text, "tokenize", cleaned=True)
    ids = encode(tokenizer, pieces, threads or cpu_count())
    return token_files.write(folder, ids, tokenizer.vocab_size, validation_share, context_length)


def cpu_count() -> int:
    """How many this process may use: a container or `taskset` may grant fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encode(tokenizer: Tokenizer, pieces: Iterable[Piece], workers: int) -> Iterator[np.ndarray]:
    """Ids of the documents, each closed by the end-of-text token, in arrays (tokens,) of uint16, in the order of the documents.

    They do not depend on the number of workers, which are threads: tiktoken works outside of Python's lock. Each has a copy of the
    tokenizer, because the regular expressions of a shared one would wait for each other, which costs a third of the speed.
    """
    own = threading.local()

    def copy_tokenizer() -> None:
        own.tokenizer = Tokenizer(tokenizer.ranks, tokenizer.end_of_text)

    def encode_one(texts: list[str], closed: bool) -> np.ndarray:
        return own.tokenizer.encode_documents(texts, closed).astype(token_files.DTYPE)

    with ThreadPoolExecutor(workers, initializer=copy_tokenizer) as pool:
        under_way: deque = deque()
        for texts, closed in _stretches(pieces):
            under_way.append(pool.submit(encode_one, texts, closed))
            if len(under_way) >= AHEAD * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _stretches(pieces: Iterable[Piece]) -> Iterator[tuple[list[str], bool]]:
    """Texts of whole documents, up to the size of one piece or little more; a piece whose document goes on ends a stretch."""
    texts, length = [], 0
    for piece in pieces:
        texts.append(piece.text)
        length += len(piece.text)
        if length >= PIECE_CHARACTERS or not piece.last:
            yield texts, piece.last
            texts, length = [], 0
    if texts:
        yield texts, True


def tokenizer_training_text(pieces: Iterable[Piece], characters: int, validation_share: float) -> Iterator[str]:
    """What a tokenizer learns from: the pieces, as many of their `characters` as lie before the validation split's.

    Of a text of more than LONGEST_TRAINING_TEXT characters every n-th piece, from its start to its end, as many as that.
    """
    left = round(characters * (1 - validation_share))
    every = -(-left // LONGEST_TRAINING_TEXT)
    for number, piece in enumerate(pieces):
        if number % every == 0:
            yield piece.text[:left]
        left -= len(piece.text)
        if left <= 0:
            return
