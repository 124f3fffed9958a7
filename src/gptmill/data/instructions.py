"""The instruction records: `instruction`, `input` (may be empty) and `output`, as in Alpaca (Taori et al. 2023)."""

from pathlib import Path

import pandas as pd

from gptmill import files
from gptmill.data import formats, rawtext, splits
from gptmill.errors import GptmillError
from gptmill.params import InstructionsParams, SharesParams

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
    return pd.DataFrame(files.read_jsonl(path), columns=["row", *FIELDS])


def describe(frame: pd.DataFrame) -> dict[str, int]:
    """Duplicates are records whose instruction and input have stood before, whatever their case and spacing and the output."""
    questions = frame["instruction"].fillna("") + "\n" + frame["input"].fillna("")
    return {
        "records": len(frame),
        "with_input": int((frame["input"].fillna("").str.strip() != "").sum()),
        "duplicates": int(questions[frame["instruction"].notna()].map(rawtext.normalise).duplicated().sum()),
    }


def split(frame: pd.DataFrame, params: SharesParams, seed: int) -> dict[str, pd.DataFrame]:
    """Train, validation and test frames of `instruction`, `input` and `output`. Raises `GptmillError` when a split would be empty.

    Records that ask the same, instruction and input taken together, stay together.
    """
    records = splits.arrange(frame[list(FIELDS)], frame["instruction"] + " " + frame["input"], seed)
    return splits.divide(records, params, stratum=None, name="instructions")
