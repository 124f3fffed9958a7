"""Data frames to Parquet and back: the same rows give the same bytes, with no pandas version or index inside."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gptmill.core.errors import GptmillError


def write(path: Path, frame: pd.DataFrame) -> None:
    """`row` as int64, everything else as strings. Not atomic: `path` is in a folder that is."""
    schema = pa.schema([(name, pa.int64() if name == "row" else pa.string()) for name in frame.columns])
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path)


def read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise GptmillError(f"{path} is not here. The stage before this one writes it: dvc repro")
    return pd.read_parquet(path)


def strings(values: list[str | None]) -> pd.Series:
    """A column of text, also when each value is null."""
    return pd.Series(values, dtype="str")
