"""The instruction records: a JSON list of `instruction`, `input` (may be empty) and `output`, as in Alpaca (Taori et al. 2023)."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from gptmill import files
from gptmill.data import book_splits, rawtext, splits, tables
from gptmill.errors import GptmillError
from gptmill.params import InstructionSplitParams

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
    return pd.DataFrame(files.read_jsonl(path), columns=["row", *FIELDS, splits.GROUP])


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
        parts = splits.divide(splits.arrange(frame[[*FIELDS, splits.GROUP]], seed), params, stratum=None)
    splits.demand(parts, len(frame), "instructions")
    return parts
