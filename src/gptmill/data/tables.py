"""Data frames as Parquet files: the same rows give the same bytes, without pandas metadata or index."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gptmill.data import text_files


def write(path: Path, frame: pd.DataFrame) -> None:
    """`row` as int64, all else as strings. Not atomic: its folder is."""
    schema = pa.schema([(name, pa.int64() if name == "row" else pa.string()) for name in frame.columns])
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path)


def read(path: Path) -> pd.DataFrame:
    text_files.require_file(path)
    return pd.read_parquet(path)


def strings(values: list[str | None]) -> pd.Series:
    """A text column, even if all values are null."""
    return pd.Series(values, dtype="str")
