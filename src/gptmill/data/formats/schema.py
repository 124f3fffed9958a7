"""The fields that a file of records must have, and the errors when they are missing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

from gptmill.core.errors import GptmillError
from gptmill.data import text_files

Row = tuple[int, tuple[str | None, ...]]  # the record's number, from 1, and its fields
NAMES_SHOWN, NAME_LENGTH = 20, 60
LONGEST_RECORD = 1 << 25  # characters


@dataclass(frozen=True)
class Field:
    """A field: its name, its column (or key) in the file, and the param of that."""

    name: str
    column: str
    key: str
    is_label: bool = False  # numbers and truth values count as text
    may_be_missing: bool = False  # "" then


@dataclass(frozen=True)
class Layout:
    """How a file of records is read. `columns` and `quotes` are for csv and tsv, `columns` for one without a header."""

    section: str  # of params.yaml
    extension: str
    columns: tuple[str, ...]
    quotes: bool
    fields: tuple[Field, ...]

    @property
    def expected(self) -> str:
        """The columns of a record, for messages: `label and text`."""
        *most, last = [field.column for field in self.fields]
        return f"{', '.join(most)} and {last}" if most else last


def column_indices(path: Any, names: Sequence[str], layout: Layout) -> list[int | None]:
    """The column of each field, by index; None for a field that may be missing.

    Raises `GptmillError` for a missing column or a duplicate name.
    """
    if duplicate := next((name for name in names if name and list(names).count(name) > 1), None):
        raise GptmillError(f"{path} has two columns of the name {printable(duplicate)}. Rename or remove one of them.")
    for field in layout.fields:
        if field.column not in names and not field.may_be_missing:
            raise missing_column(path, field, names)
    return [names.index(field.column) if field.column in names else None for field in layout.fields]


def missing_column(path: Any, field: Field, names: Iterable[str]) -> GptmillError:
    names = [name for name in names if name]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    present = ", ".join(map(printable, names[:NAMES_SHOWN])) + more
    close = get_close_matches(field.column.casefold(), [name[:NAME_LENGTH].casefold() for name in names], n=1)
    nearest = next((name for name in names if close and name[:NAME_LENGTH].casefold() == close[0]), None)
    hint = f" Did you mean {printable(nearest)}?" if nearest else ""
    return GptmillError(
        f"{path} has no column {field.column}; it has {present or 'none'}.{hint} Set {field.key} in params.yaml."
    )


def printable(name: str) -> str:
    """A name from a file, truncated, without control characters."""
    if name.isprintable() and len(name) <= NAME_LENGTH:
        return name
    short = name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"
    return short.encode("unicode_escape").decode("ascii")


def bounded_lines(path: Path, file: TextIO) -> Iterator[str]:
    """The lines of a file. Raises `GptmillError` for one that is too long."""
    number = 0
    while line := file.readline(LONGEST_RECORD):
        number += 1
        if len(line) == LONGEST_RECORD:
            raise GptmillError(f"{path}: line {number} has more than {LONGEST_RECORD - 1:,} characters.")
        yield line


def as_text(value: Any, field: Field) -> str | None:
    """A value of JSON or Parquet as a string; null for other types."""
    if value is None and field.may_be_missing:
        return ""
    if isinstance(value, str):
        # JSON can escape lone surrogates, which UTF-8 can't encode: U+FFFD, which an expectation finds.
        return text_files.LONE_SURROGATES.sub("\ufffd", value)
    if not field.is_label:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # of a column of integers with a missing value
        value = int(value)
    return str(value) if isinstance(value, int) else None
