"""Token files: ids as uint16, one after the other, read as a memory map; `meta.json` says how many there are.

A split is one file, `train.bin`, or shards of SHARD_TOKENS each: `train-00001-of-00004.bin` and so on.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from gptmill.core import files
from gptmill.core.errors import GptmillError

DTYPE = np.dtype("<u2")  # little-endian whatever the machine, so that the bytes are the same everywhere
SHARD_TOKENS = 1 << 28  # half a gigabyte
SPLITS = ("train", "validation")


def write(
    folder: Path,
    ids: Iterable[np.ndarray],
    vocab_size: int,
    validation_share: float,
    context_length: int,
    shard_tokens: int = SHARD_TOKENS,
) -> dict[str, int]:
    """Write ids and `meta.json`; returns the latter's content. The end of the ids is the validation split.

    `ids`: arrays (tokens,) of uint16. Raises `GptmillError` when the training split is shorter than a window, or the
    validation split has less than two tokens.
    """
    if vocab_size > 1 << 16:
        raise GptmillError(
            f"a vocabulary of {vocab_size:,} does not fit into 16 bits: choose tokenizer.vocab_size up to 65,536"
        )
    with files.atomic(folder) as tmp:
        tmp.mkdir()
        raw = (tmp / f"raw-{number:05}" for number in itertools.count())
        count, documents = _write_shards(raw, ids, shard_tokens, end_of_text=vocab_size - 1)
        cut = round(count * (1 - validation_share))
        tokens = {"train": cut, "validation": count - cut}
        _demand(tokens, context_length)
        names = {split: _names(split, -(-tokens[split] // shard_tokens)) for split in SPLITS}
        shards = sorted(tmp.glob("raw-*"))
        tail = (tmp / name for name in names["validation"])
        _write_shards(tail, _read_from(cut, shards, shard_tokens), shard_tokens, end_of_text=vocab_size - 1)
        for number, (shard, name) in enumerate(itertools.zip_longest(shards, names["train"])):
            if name:
                os.truncate(shard, min(shard_tokens, cut - number * shard_tokens) * DTYPE.itemsize)
                shard.rename(tmp / name)
            else:
                shard.unlink()
        meta = {
            "vocab_size": vocab_size,
            "documents": documents,
            **{f"{split}_tokens": tokens[split] for split in SPLITS},
            **{f"{split}_shards": len(names[split]) for split in SPLITS},
            "shard_tokens": shard_tokens,
        }
        files.write_json(tmp / "meta.json", meta)
    return meta


def _demand(tokens: dict[str, int], context_length: int) -> None:
    window = f" for one window of model.context_length {context_length:,}"
    for split, needed, why in (("train", context_length + 1, window), ("validation", 2, "")):
        if tokens[split] < needed:
            raise GptmillError(
                f"the corpus' {split} split has {tokens[split]:,} tokens of {sum(tokens.values()):,}, and needs "
                f"{needed:,}{why}: use a longer corpus, or change split.corpus.validation"
                f"{' or model.context_length' if why else ''} in params.yaml"
            )


def _write_shards(
    paths: Iterator[Path], ids: Iterable[np.ndarray], shard_tokens: int, end_of_text: int
) -> tuple[int, int]:
    """Write ids into files of `shard_tokens` each; returns how many ids and how many documents there are."""
    count = documents = 0
    with ExitStack() as stack:
        for array in ids:
            documents += int(np.count_nonzero(array == end_of_text))
            while len(array):
                if count % shard_tokens == 0:
                    stack.close()
                    file = stack.enter_context(next(paths).open("wb"))
                part, array = np.split(array, [shard_tokens - count % shard_tokens])
                file.write(part.astype(DTYPE, copy=False).data)
                count += len(part)
    return count, documents


def _read_from(start: int, shards: Sequence[Path], shard_tokens: int) -> Iterator[np.ndarray]:
    """The ids from `start` on, in pieces."""
    first, offset = divmod(start, shard_tokens)
    for shard in shards[first:]:
        with shard.open("rb") as file:
            file.seek(offset * DTYPE.itemsize)
            while content := file.read(1 << 20):
                yield np.frombuffer(content, DTYPE)
        offset = 0


def _names(split: str, shards: int) -> list[str]:
    if shards == 1:
        return [f"{split}.bin"]
    return [f"{split}-{number:05}-of-{shards:05}.bin" for number in range(1, shards + 1)]


def paths_of(folder: Path, split: str) -> list[Path]:
    """The split's files, in order."""
    return [folder / name for name in _names(split, files.read_json(folder / "meta.json")[f"{split}_shards"])]


class Shards:
    """Several token files as one array: `len`, one id, or a slice with step 1, which is a copy."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        """`arrays`: (tokens,) of uint16, all as long as the first but the last, which may be shorter."""
        self._arrays = arrays
        self._size = len(arrays[0])
        self._length = sum(map(len, arrays))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: slice | int) -> np.ndarray | np.uint16:
        if not isinstance(place, slice):
            place = range(self._length)[place]  # counts from the end when negative, and raises IndexError
            return self._arrays[place // self._size][place % self._size]
        start, stop, step = place.indices(self._length)
        if step != 1:
            raise ValueError(f"token files are read in order, not in steps of {step}")
        parts = [
            self._arrays[shard][max(0, start - shard * self._size) : stop - shard * self._size]
            for shard in range(start // self._size, -(-stop // self._size))
        ]
        return np.concatenate(parts) if start < stop else np.empty(0, DTYPE)


def read(folder: Path, split: str) -> np.ndarray | Shards:
    """(tokens,) of uint16, memory-mapped. Raises `GptmillError` when a file is truncated."""
    return files.read_snapshot(folder, lambda folder: _read(folder, split))


def _read(folder: Path, split: str) -> np.ndarray | Shards:
    meta = files.read_json(folder / "meta.json")
    paths, left = paths_of(folder, split), meta[f"{split}_tokens"]
    arrays = []
    for path in paths:
        tokens = min(left, meta["shard_tokens"])
        size = path.stat().st_size if path.exists() else 0
        if size != tokens * DTYPE.itemsize:
            raise GptmillError(
                f"{path} has {size:,} bytes where {folder / 'meta.json'} promises {tokens * DTYPE.itemsize:,}: "
                "it was cut short or changed. Make it again: dvc repro -f tokenize"
            )
        arrays.append(np.memmap(path, dtype=DTYPE, mode="r"))
        left -= tokens
    return arrays[0] if len(arrays) == 1 else Shards(arrays)
