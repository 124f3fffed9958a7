"""Parquet: only the wanted columns are read, some thousand rows at once."""

from collections.abc import Iterator
from pathlib import Path

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.data.formats.schema import Field, Layout, Row, as_text, column_indices, printable

ROWS = 1024


def records(path: Path, layout: Layout) -> Iterator[Row]:
    """Raises `GptmillError` when the file is no whole Parquet file, or a wanted column holds no text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files.refuse_special(path)
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            where = column_indices(path, schema.names, layout)
            wanted = [field for field, place in zip(layout.fields, where, strict=True) if place is not None]
            for field in wanted:
                _demand_text(path, field, schema.field(field.column).type)
            row = 0
            for batch in file.iter_batches(ROWS, columns=[field.column for field in wanted]):
                columns = {field.name: _strings(batch.column(field.column), field) for field in wanted}
                for i in range(batch.num_rows):
                    row += 1
                    yield row, tuple(columns[field.name][i] if field.name in columns else "" for field in layout.fields)
    except (pa.ArrowException, OSError) as error:
        said = printable(str(error).partition("\n")[0].rstrip("."))
        raise GptmillError(
            f"{path} is not Parquet, or it is cut or damaged ({said}). {text_files.FETCH_AGAIN}"
        ) from None


def _demand_text(path: Path, field: Field, kind) -> None:
    import pyarrow.types as types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    is_text = (
        types.is_string(inner) or types.is_large_string(inner) or types.is_null(inner) or str(inner) == "string_view"
    )
    is_number = types.is_integer(inner) or types.is_boolean(inner) or types.is_floating(inner)
    if not is_text and not (field.is_label and is_number):
        what = f"{path}: its column {field.column} holds {printable(str(kind))}, not text."
        raise GptmillError(f"{what} Set {field.key} in params.yaml to one that does.")


def _strings(column, field: Field) -> list[str | None]:
    try:
        return [as_text(value, field) for value in column.to_pylist()]
    except UnicodeDecodeError:  # a writer that did not care: what can't be decoded is marked, and found
        import pyarrow as pa

        values = [value.cast(pa.binary()).as_py() for value in column]
        return [as_text(None if value is None else value.decode("utf-8", "replace"), field) for value in values]
