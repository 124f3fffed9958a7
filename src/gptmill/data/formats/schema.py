"""What is wanted of a file of records, and what is said when it is not there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from gptmill.core.errors import GptmillError
from gptmill.data import text_files

Row = tuple[int, tuple[str | None, ...]]  # the record's number, from 1, and its wanted fields
NAMES_SHOWN, NAME_LENGTH = 20, 60
LONGEST_RECORD = 1 << 25


@dataclass(frozen=True)
class Field:
    """A wanted field: its name here, the column (or key) of the file, and the param that says so."""

    name: str
    column: str
    key: str
    is_label: bool = False  # numbers and truth values count as text
    may_be_missing: bool = False  # "" then


@dataclass(frozen=True)
class Layout:
    """How a file of records is read. `columns` are those of a csv or tsv without a header line, whose `quotes` keep separators."""

    section: str  # of params.yaml
    extension: str
    columns: tuple[str, ...]
    quotes: bool
    fields: tuple[Field, ...]

    @property
    def expected(self) -> str:
        """What a record has: `label and text`."""
        *most, last = [field.column for field in self.fields]
        return f"{', '.join(most)} and {last}" if most else last


def column_indices(path: Any, names: Sequence[str], layout: Layout) -> list[int | None]:
    """Where each wanted field stands among the file's columns; None for one that may be missing.

    Raises `GptmillError` when a column is missing or two have the same name.
    """
    if twice := next((name for name in names if name and list(names).count(name) > 1), None):
        raise GptmillError(f"{path} has two columns of the name {printable(twice)}. Rename or remove one of them.")
    for field in layout.fields:
        if field.column not in names and not field.may_be_missing:
            raise missing_column(path, field, names)
    return [names.index(field.column) if field.column in names else None for field in layout.fields]


def missing_column(path: Any, field: Field, names: Iterable[str]) -> GptmillError:
    names = [name for name in names if name]
    there = ", ".join(map(printable, names[:NAMES_SHOWN])) + (
        f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    )
    close = get_close_matches(field.column.casefold(), [name[:NAME_LENGTH].casefold() for name in names], n=1)
    nearest = next((name for name in names if close and name[:NAME_LENGTH].casefold() == close[0]), None)
    hint = f" Did you mean {printable(nearest)}?" if nearest else ""
    return GptmillError(
        f"{path} has no column {field.column}; it has {there or 'none'}.{hint} Set {field.key} in params.yaml."
    )


def printable(name: str) -> str:
    """A name from a file, short and without characters that a terminal would obey."""
    return (
        (name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…").encode("unicode_escape").decode("ascii")
        if not (name.isprintable() and len(name) <= NAME_LENGTH)
        else name
    )


def as_text(value: Any, field: Field) -> str | None:
    """A value of JSON or Parquet as the string that is wanted; null for what is none."""
    if value is None and field.may_be_missing:
        return ""
    if isinstance(value, str):
        # JSON can escape half of a surrogate pair, which no file can hold: it becomes U+FFFD, and is found as such.
        return text_files.LONE_SURROGATES.sub("\ufffd", value)
    if not field.is_label:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # what a column of whole numbers becomes when one is missing
        value = int(value)
    return str(value) if isinstance(value, int) else None
