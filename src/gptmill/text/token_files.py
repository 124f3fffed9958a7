"""Token files: ids as uint16, one after the other, read as a memory map; `meta.json` says how many there are.

A split is one file, `train.bin`, or several of SHARD_TOKENS each when it has more: `train-00001-of-00004.bin` and so on.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

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
    """Write the ids, of which the end is the validation split, and `meta.json`; returns what meta.json says.

    `ids`: arrays (tokens,) of uint16. Raises `GptmillError` when the training split has less than a window, or the validation split less
    than two tokens, so that nothing can be predicted.
    """
    if vocab_size > 1 << 16:
        raise GptmillError(
            f"a vocabulary of {vocab_size:,} does not fit into 16 bits: choose tokenizer.vocab_size up to 65,536"
        )
    with files.atomic(folder) as tmp:
        tmp.mkdir()
        count, documents = _write_shards(tmp, ids, shard_tokens, end_of_text=vocab_size - 1)
        cut = round(count * (1 - validation_share))
        tokens = {"train": cut, "validation": count - cut}
        _demand(tokens, context_length)
        shards = {split: -(-tokens[split] // shard_tokens) for split in SPLITS}
        _move_tail(tmp, cut, count, shard_tokens, [tmp / name for name in _names("validation", shards["validation"])])
        for number, name in enumerate(_names("train", shards["train"])):
            _raw(tmp, number).rename(tmp / name)
        meta = {
            "vocab_size": vocab_size,
            "documents": documents,
            **{f"{split}_tokens": tokens[split] for split in SPLITS},
            **{f"{split}_shards": shards[split] for split in SPLITS},
            "shard_tokens": shard_tokens,
        }
        files.write_json(tmp / "meta.json", meta)
    return meta


def _demand(tokens: dict[str, int], context_length: int) -> None:
    window = f" for one window of model.context_length {context_length:,}"
    for split, needed, why in (("train", context_length + 1, window), ("validation", 2, "")):
        if tokens[split] < needed:
            raise GptmillError(
                f"the corpus' {split} split has {tokens[split]:,} tokens of {sum(tokens.values()):,}, and needs {needed:,}{why}: use a "
                f"longer corpus, or change split.corpus.validation{' or model.context_length' if why else ''} in params.yaml"
            )


def _write_shards(folder: Path, ids: Iterable[np.ndarray], shard_tokens: int, end_of_text: int) -> tuple[int, int]:
    """All ids in files of `shard_tokens`; returns how many ids and how many documents there are."""
    count, documents, file = 0, 0, None
    try:
        for array in ids:
            documents += int(np.count_nonzero(array == end_of_text))
            while len(array):
                if count % shard_tokens == 0:
                    if file:
                        file.close()
                    file = _raw(folder, count // shard_tokens).open("wb")
                room = shard_tokens - count % shard_tokens
                part, array = array[:room], array[room:]
                file.write(part.astype(DTYPE, copy=False).data)
                count += len(part)
    finally:
        if file:
            file.close()
    return count, documents


def _move_tail(folder: Path, cut: int, count: int, shard_tokens: int, to: list[Path]) -> None:
    """Moves the ids from `cut` on out of the raw shards, to shards of their own."""
    place = cut
    for path in to:
        end = min(place + shard_tokens, count)
        with path.open("wb") as shard:
            while place < end:
                number, within = divmod(place, shard_tokens)
                some = min(end - place, shard_tokens - within)
                with _raw(folder, number).open("rb") as raw:
                    raw.seek(within * DTYPE.itemsize)
                    _copy(raw, shard, some * DTYPE.itemsize)
                place += some
    for number, raw in enumerate(sorted(folder.glob("raw-*"))):
        left = min(shard_tokens, cut - number * shard_tokens)
        if left > 0:
            os.truncate(raw, left * DTYPE.itemsize)
        else:
            raw.unlink()


def _copy(source: BinaryIO, to: BinaryIO, left: int) -> None:
    while left and (content := source.read(min(left, 1 << 20))):
        to.write(content)
        left -= len(content)


def _raw(folder: Path, number: int) -> Path:
    return folder / f"raw-{number:05}"


def _names(split: str, shards: int) -> list[str]:
    return (
        [f"{split}.bin"]
        if shards == 1
        else [f"{split}-{number:05}-of-{shards:05}.bin" for number in range(1, shards + 1)]
    )


def paths_of(folder: Path, split: str) -> list[Path]:
    """The split's files, in order."""
    return [folder / name for name in _names(split, files.read_json(folder / "meta.json")[f"{split}_shards"])]


class Shards:
    """Several token files as if they were one array: `len`, a slice with step 1, which is copied into an array of its own, or one id."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        """`arrays`: (tokens,) of uint16, each as long as the first, the last one at most as long."""
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
    """(tokens,) of uint16; the files stay on disk until a part of them is read. Raises `GptmillError` when one of them was cut short."""
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
                f"{path} has {size:,} bytes where {folder / 'meta.json'} promises {tokens * DTYPE.itemsize:,}: it was cut short or "
                "changed. Make it again: dvc repro -f tokenize"
            )
        arrays.append(np.memmap(path, dtype=DTYPE, mode="r"))
        left -= tokens
    return arrays[0] if len(arrays) == 1 else Shards(arrays)
