"""Token files: ids as uint16, one after the other, read as a memory map; `meta.json` says how many there are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gptmill import files
from gptmill.errors import GptmillError

DTYPE = np.dtype("<u2")  # little-endian whatever the machine, so that the bytes are the same everywhere


def write(folder: Path, ids: list[int], vocab_size: int, validation_share: float) -> dict[str, int]:
    """Write `train.bin`, `validation.bin` (the end of the ids) and `meta.json`; returns what meta.json says.

    Raises `GptmillError` when a split would be too short to predict anything.
    """
    if vocab_size > 1 << 16:
        raise GptmillError(f"a vocabulary of {vocab_size:,} does not fit into 16 bits: choose tokenizer.vocab_size up to 65,536")
    cut = round(len(ids) * (1 - validation_share))
    splits = {"train": ids[:cut], "validation": ids[cut:]}
    for name, part in splits.items():
        if len(part) < 2:
            raise GptmillError(
                f"the corpus' {name} split has {len(part)} tokens of {len(ids)}: use a longer corpus or change split.corpus.validation"
            )
    meta = {"vocab_size": vocab_size, **{f"{name}_tokens": len(part) for name, part in splits.items()}}
    with files.atomic(folder) as beside:
        beside.mkdir()
        for name, part in splits.items():
            np.array(part, dtype=DTYPE).tofile(beside / f"{name}.bin")
        files.write_json(beside / "meta.json", meta)
    return meta


def before_validation(documents: Sequence[str], validation_share: float) -> Iterator[str]:
    """The documents, as many of their characters as lie before the validation split's."""
    left = round(sum(map(len, documents)) * (1 - validation_share))
    for document in documents:
        yield document[:left]
        left -= len(document)
        if left <= 0:
            return


def read(folder: Path, split: str) -> np.ndarray:
    """(tokens,) of uint16; the file stays on disk until a part of it is read."""
    return np.memmap(folder / f"{split}.bin", dtype=DTYPE, mode="r")
