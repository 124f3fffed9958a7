"""One reader for labelled texts, records and documents, whatever their file: csv, tsv, jsonl, json or Parquet.

A record becomes its number, from 1, and its wanted fields as strings. What is no string, or not there, is null: the expectations find it
and put the record into quarantine. Only a file of which nothing can be read as wanted is an error. All but json are read as a stream.
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
    """What params.yaml says of a data set's file; `section` is where: data.spam."""
    fields = tuple(
        Field(name, column, f"{section}.{name}", is_label=name == "label", may_be_missing=name == "input")
        for name, column in params.columns_by_field().items()
    )
    return Layout(section, params.extension, tuple(params.columns), params.quotes, fields)


def records(path: Path, layout: Layout) -> Iterator[Row]:
    """Each record of the file: its number and its wanted fields, in their order.

    Raises `GptmillError` when the file is not there, can't be read, is empty, or has no such columns.
    """
    if not path.exists():
        raise GptmillError(f"{path} is not here. The whole pipeline brings it: dvc repro")
    if path.is_dir():
        raise GptmillError(f"{path} is a folder where a file should be. Remove it, then: dvc repro")
    some = False
    for row in _READERS[layout.extension](path, layout):
        some = True
        if any(value is not None and len(value) > LONGEST_RECORD for value in row[1]):
            raise GptmillError(
                f"{path}: record {row[0]} has a text of more than {LONGEST_RECORD:,} characters: that is no record."
            )
        yield row
    if not some:
        raise GptmillError(
            f"{path} has no records, only a header or nothing: {layout.expected} are expected. Fetch it again, or fill it."
        )


def texts(path: Path, layout: Layout, name: str = "text") -> Iterator[tuple[int, str | None]]:
    """One field of each record, with the record's number."""
    place = [field.name for field in layout.fields].index(name)
    for row, values in records(path, layout):
        yield row, values[place]


def read(path: Path, layout: Layout) -> "pd.DataFrame":
    """The whole file: `row` and the wanted fields, in the file's order."""
    import pandas as pd

    from gptmill.data import tables

    rows, values = zip(*records(path, layout), strict=True)
    columns = zip(*values, strict=True)
    return pd.DataFrame(
        {
            "row": rows,
            **{field.name: tables.strings(list(column)) for field, column in zip(layout.fields, columns, strict=True)},
        }
    )
