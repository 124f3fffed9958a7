"""One reader of records for csv, tsv, jsonl, json and Parquet; all but json are streamed.

A record becomes its number, from 1, and its fields as strings. Missing values and those that are not strings are null:
the expectations put such records into quarantine. Only a file without any readable record is an error.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gptmill.config.sources import SourceParams
from gptmill.core.errors import GptmillError
from gptmill.data.formats import delimited, json_records, parquet
from gptmill.data.formats.schema import LONGEST_RECORD, Field, Layout, Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Field", "Layout", "Row", "layout", "read", "records", "texts"]

_READERS = {
    "csv": delimited.records,
    "tsv": delimited.records,
    "jsonl": json_records.lines,
    "json": json_records.array,
    "parquet": parquet.records,
}


def layout(section: str, params: SourceParams) -> Layout:
    """The layout of a data set's file by params.yaml; `section` is its key: data.spam."""
    fields = tuple(
        Field(name, column, f"{section}.{name}", is_label=name == "label", may_be_missing=name == "input")
        for name, column in params.columns_by_field().items()
    )
    return Layout(section, params.extension, tuple(params.columns), params.quotes, fields)


def records(path: Path, layout: Layout) -> Iterator[Row]:
    """The number of each record and its fields, in the order of the layout.

    Raises `GptmillError` when the file is missing, unreadable or empty, or lacks a column.
    """
    row = None
    for row, values in _READERS[layout.extension](path, layout):
        if any(value is not None and len(value) > LONGEST_RECORD for value in values):
            raise GptmillError(f"{path}: record {row} has a text of more than {LONGEST_RECORD:,} characters.")
        yield row, values
    if row is None:
        problem = f"{path} has no records, only a header or nothing: {layout.expected} are expected"
        raise GptmillError(f"{problem}. Fetch it again, or fill it.")


def texts(path: Path, layout: Layout, name: str = "text") -> Iterator[tuple[int, str | None]]:
    """(number, one field) of each record."""
    index = [field.name for field in layout.fields].index(name)
    for row, values in records(path, layout):
        yield row, values[index]


def read(path: Path, layout: Layout) -> "pd.DataFrame":
    """The whole file: `row` and the fields, in the file's order."""
    import pandas as pd

    from gptmill.data import tables

    rows, values = zip(*records(path, layout), strict=True)
    columns = zip(layout.fields, zip(*values, strict=True), strict=True)
    return pd.DataFrame({"row": rows} | {field.name: tables.strings(list(column)) for field, column in columns})
