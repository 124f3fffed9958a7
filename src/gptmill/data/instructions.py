"""The instruction records: `instruction`, `input` (may be empty) and `output`, as in Alpaca (Taori et al. 2023)."""

from pathlib import Path

import pandas as pd

from gptmill.config.data import InstructionSplitParams
from gptmill.config.sources import InstructionsParams
from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.data import book_splits, formats, splits

FIELDS = ("instruction", "input", "output")


def read(path: Path, params: InstructionsParams) -> pd.DataFrame:
    """One row a record: `row`, `instruction`, `input`, `output`; null for what is no string. A record without an input has an empty one.

    Raises `GptmillError` when nothing can be read.
    """
    return formats.read(path, formats.layout("data.instructions", params))


def read_clean(path: Path) -> pd.DataFrame:
    """What the validate stage kept."""
    if not path.exists():
        raise GptmillError(f"{path} is not here. The stage before this one writes it: dvc repro")
    return pd.DataFrame(files.read_jsonl(path), columns=["row", *FIELDS, splits.GROUP])


def questions(frame: pd.DataFrame) -> pd.Series:
    """What each record asks, instruction and input together, whatever the answer; null where it has no instruction."""
    return frame["instruction"] + " " + frame["input"].fillna("")


def split(frame: pd.DataFrame, params: InstructionSplitParams, seed: int) -> dict[str, pd.DataFrame]:
    """Train, validation and test frames of `instruction`, `input` and `output`. Raises `GptmillError` when a split would be empty.

    Records of a `group`, those that ask the same or nearly the same, stay together. `method: book` keeps the order of the file, as the
    book does (chapter 7.2): first the training split, then the test split, and what is left validates.
    """
    if params.method == "book":
        parts = book_splits.records(frame[list(FIELDS)], params)
    else:
        parts = splits.assign_groups(splits.sort_by_hash(frame[[*FIELDS, splits.GROUP]], seed), params, stratum=None)
    splits.require_nonempty(parts, len(frame), "instructions")
    return parts
