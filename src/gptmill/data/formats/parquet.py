"""Parquet: reads only the columns of the layout, in batches of rows."""

from collections.abc import Iterator
from pathlib import Path

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.data.formats.schema import Field, Layout, Row, as_text, column_indices, printable

ROWS = 1024


def records(path: Path, layout: Layout) -> Iterator[Row]:
    """Raises `GptmillError` when the file is not a complete Parquet file, or a column is not text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text_files.require_file(path)
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            indices = column_indices(path, schema.names, layout)
            present = [field for field, index in zip(layout.fields, indices, strict=True) if index is not None]
            for field in present:
                _require_text(path, field, schema.field(field.column).type)
            row = 0
            for batch in file.iter_batches(ROWS, columns=[field.column for field in present]):
                columns = {field.name: _strings(batch.column(field.column), field) for field in present}
                for i in range(batch.num_rows):
                    row += 1
                    yield row, tuple(columns[field.name][i] if field.name in columns else "" for field in layout.fields)
    except (pa.ArrowException, OSError) as error:
        reason = printable(str(error).partition("\n")[0].rstrip("."))
        problem = f"{path} is not Parquet, or it is truncated or damaged ({reason})"
        raise GptmillError(f"{problem}. {text_files.FETCH_AGAIN}") from None


def _require_text(path: Path, field: Field, kind) -> None:
    import pyarrow.types as types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    is_text = any(
        check(inner) for check in (types.is_string, types.is_large_string, types.is_null, types.is_string_view)
    )
    is_number = any(check(inner) for check in (types.is_integer, types.is_boolean, types.is_floating))
    if not is_text and not (field.is_label and is_number):
        what = f"{path}: its column {field.column} holds {printable(str(kind))}, not text."
        raise GptmillError(f"{what} Set {field.key} in params.yaml to one that does.")


def _strings(column, field: Field) -> list[str | None]:
    try:
        return [as_text(value, field) for value in column.to_pylist()]
    except UnicodeDecodeError:  # not UTF-8: U+FFFD, which an expectation finds
        import pyarrow as pa

        values = [value.cast(pa.binary()).as_py() for value in column]
        return [as_text(None if value is None else value.decode("utf-8", "replace"), field) for value in values]
