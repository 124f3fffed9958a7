"""The instruction records: a JSON list of `instruction`, `input` (may be empty) and `output`, as in Alpaca (Taori et al. 2023)."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from gptmill import files
from gptmill.data import rawtext, splits, tables
from gptmill.errors import GptmillError
from gptmill.params import SharesParams

FIELDS = ("instruction", "input", "output")
EXPECTED = "a list of records with instruction, input and output is expected"


def read(path: Path) -> pd.DataFrame:
    """One row a record: `row` (its place in the list, from 1), `instruction`, `input`, `output`; null for what is no string.

    A record without an input has an empty one. Raises `GptmillError` when the file is not JSON, not a list, or an empty list.
    """
    records = _parse(path, rawtext.read(path))
    if not isinstance(records, list):
        raise GptmillError(f"{path} is JSON, but no list: {EXPECTED}. {rawtext.FETCH_AGAIN}")
    if not records:
        raise GptmillError(f"{path} is an empty list: {EXPECTED}. {rawtext.FETCH_AGAIN}")
    columns = {field: tables.strings([_value(record, field) for record in records]) for field in FIELDS}
    return pd.DataFrame({"row": range(1, len(records) + 1), **columns})


def read_clean(path: Path) -> pd.DataFrame:
    """What the validate stage kept."""
    if not path.exists():
        raise GptmillError(f"{path} is not here. The stage before this one writes it: dvc repro")
    return pd.DataFrame(files.read_jsonl(path), columns=["row", *FIELDS])


def _parse(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        hint = "It looks like one record a line; put them into one list." if error.msg == "Extra data" else rawtext.FETCH_AGAIN
        raise GptmillError(f"{path} is not JSON: {error.msg} at {where}; {EXPECTED}. {hint}") from None
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of more than 4,300 digits
        raise GptmillError(f"{path} is JSON that can't be read ({error}); {EXPECTED}. {rawtext.FETCH_AGAIN}") from None


def _value(record: Any, field: str) -> str | None:
    if not isinstance(record, dict):
        return None
    value = record.get(field)
    if value is None and field == "input":
        return ""
    # JSON can escape half of a surrogate pair, which no file can hold: it becomes U+FFFD, and is found as such.
    return rawtext.LONE_SURROGATES.sub("\ufffd", value) if isinstance(value, str) else None


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
