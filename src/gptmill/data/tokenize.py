"""The corpus as token ids: the tokenizer's training text, and parallel encoding in the order of the documents."""

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

LONGEST_TRAINING_TEXT = 1 << 28  # characters; more hardly changes which pairs are frequent
AHEAD = 3  # batches of text per worker that are queued or in work


def write(
    tokenizer: Tokenizer, text: Path, folder: Path, validation_share: float, context_length: int, threads: int
) -> dict[str, int]:
    """Writes the clean corpus as token files; returns the content of meta.json. `threads` 0: one per core."""
    pieces = corpus.read(text, "tokenize", cleaned=True)
    ids = encode(tokenizer, pieces, threads or cpu_count())
    return token_files.write(folder, ids, tokenizer.vocab_size, validation_share, context_length)


def cpu_count() -> int:
    """CPUs that this process may use: a container or `taskset` may grant fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encode(tokenizer: Tokenizer, pieces: Iterable[Piece], workers: int) -> Iterator[np.ndarray]:
    """Ids of the documents in order, each closed by the end-of-text token, in arrays (tokens,) of uint16.

    They do not depend on the number of workers. These are threads, as tiktoken releases the GIL; each has a copy of the
    tokenizer, as the locks of a shared one's regular expressions cost a third of the speed.
    """
    own = threading.local()

    def copy_tokenizer() -> None:
        own.tokenizer = Tokenizer(tokenizer.ranks, tokenizer.end_of_text)

    def encode_one(texts: list[str], closed: bool) -> np.ndarray:
        return own.tokenizer.encode_documents(texts, closed).astype(token_files.DTYPE)

    with ThreadPoolExecutor(workers, initializer=copy_tokenizer) as pool:
        queue: deque = deque()
        for texts, closed in _batches(pieces):
            queue.append(pool.submit(encode_one, texts, closed))
            if len(queue) >= AHEAD * workers:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()


def _batches(pieces: Iterable[Piece]) -> Iterator[tuple[list[str], bool]]:
    """(texts, whether the last document ends): about one piece of text, or up to a piece that does not end one."""
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
    """The pieces before the validation split; `characters` are those of the whole corpus.

    Beyond LONGEST_TRAINING_TEXT characters, an evenly spaced sample of pieces of about that length.
    """
    left = round(characters * (1 - validation_share))
    every = -(-left // LONGEST_TRAINING_TEXT)
    for number, piece in enumerate(pieces):
        if number % every == 0:
            yield piece.text[:left]
        left -= len(piece.text)
        if left <= 0:
            return
