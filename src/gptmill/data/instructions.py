"""The instruction records: `instruction`, `input` (may be empty) and `output`, as in Alpaca (Taori et al. 2023)."""

from pathlib import Path

import pandas as pd

from gptmill.config.data import InstructionSplitParams
from gptmill.config.sources import InstructionsParams
from gptmill.core import files
from gptmill.data import book_splits, formats, splits, text_files

FIELDS = ("instruction", "input", "output")


def read(path: Path, params: InstructionsParams) -> pd.DataFrame:
    """`row`, `instruction`, `input` and `output` of each record; null for values that are not strings, "" for a missing
    input.

    Raises `GptmillError` when nothing can be read.
    """
    return formats.read(path, formats.layout("data.instructions", params))


def read_clean(path: Path) -> pd.DataFrame:
    """The valid records, as the validate stage wrote them."""
    text_files.require_file(path)
    return pd.DataFrame(files.read_jsonl(path), columns=["row", *FIELDS, splits.GROUP])


def questions(frame: pd.DataFrame) -> pd.Series:
    """Instruction and input of each record as one text; null without an instruction."""
    return frame["instruction"] + " " + frame["input"].fillna("")


def split(frame: pd.DataFrame, params: InstructionSplitParams, seed: int) -> dict[str, pd.DataFrame]:
    """Train, validation and test frames of `instruction`, `input` and `output`. Raises `GptmillError` when a split
    would be empty.

    Records of a `group`, which ask the same or nearly the same, stay together. `method: book` keeps the order of the
    file (chapter 7.2): train, then test, and the rest is validation.
    """
    if params.method == "book":
        parts = book_splits.records(frame[list(FIELDS)], params)
    else:
        parts = splits.assign_groups(splits.sort_by_hash(frame[[*FIELDS, splits.GROUP]], seed), params, stratum=None)
    splits.require_nonempty(parts, len(frame), "instructions")
    return parts
