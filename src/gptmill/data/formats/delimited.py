"""csv and tsv: with or without a header line, with or without quotes (RFC 4180)."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.data.formats.schema import LONGEST_RECORD, Layout, Row, bounded_lines, column_indices, printable

SEPARATORS = {"csv": ",", "tsv": "\t"}
NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}
Record = tuple[int, list[str]]  # its first line, and its fields


def records(path: Path, layout: Layout) -> Iterator[Row]:
    """Without quotes and header, further separators belong to the last column, as in the UCI messages. Otherwise a
    record with too many or too few fields is null, as its columns are unknown."""
    text_files.check_text(path)
    separator = SEPARATORS[layout.extension]
    with path.open(encoding="utf-8-sig", newline="" if layout.quotes else "\n") as file:
        count = len(layout.columns) or None
        lines = _quoted(path, file, separator) if layout.quotes else _unquoted(path, file, separator, count)
        yield from (_without_header if layout.columns else _with_header)(path, layout, lines, separator)


def _with_header(path: Path, layout: Layout, lines: Iterator[Record], separator: str) -> Iterator[Row]:
    _, header = next(lines, (1, []))
    names = [name.strip() for name in header]
    if len(names) == 1:
        _refuse_other_separator(path, layout, names[0], separator)
    if not layout.quotes and any(name.startswith('"') and name.endswith('"') and len(name) > 1 for name in names):
        problem = f"{path} has quotes around the names of its columns"
        raise GptmillError(f"{problem}: set {layout.section}.quotes: true in params.yaml.")
    indices = column_indices(path, names, layout)
    for number, (_, fields) in enumerate(_without_blank_end(lines), start=1):
        yield number, _values(fields, indices, len(names))


def _without_header(path: Path, layout: Layout, lines: Iterator[Record], separator: str) -> Iterator[Row]:
    count = len(layout.columns)
    indices = column_indices(path, layout.columns, layout)
    number, separated, first = 0, count == 1, ""
    for number, (_, fields) in enumerate(_without_blank_end(lines) if layout.quotes else lines, start=1):
        first = first or (fields[0] if fields else "")
        separated = separated or len(fields) > 1
        if len(fields) < count and not layout.quotes:
            fields = [*fields, *[None] * (count - len(fields))]
        yield number, _values(fields, indices, count)
    if number and not separated:
        mark = f"<{NAMES[separator].upper()}>" if separator == "\t" else separator
        other = _other_separator(first, separator)
        hint = f"It has {NAMES[other]}s: save it with {NAMES[separator]}s. " if other and other != "," else ""
        problem = f"{path} has no {NAMES[separator]} in any of its {number:,} lines"
        raise GptmillError(f"{problem}: {mark.join(layout.columns)} is expected. {hint}{text_files.FETCH_AGAIN}")


def _values(fields: list[str | None], indices: list[int | None], count: int) -> tuple[str | None, ...]:
    """The fields at `indices`, "" for a missing column; all null unless there are `count` fields."""
    complete = len(fields) == count
    return tuple("" if index is None else fields[index] if complete else None for index in indices)


def _refuse_other_separator(path: Path, layout: Layout, header: str, separator: str) -> None:
    if other := _other_separator(header, separator):
        extension = next((name for name, sign in SEPARATORS.items() if sign == other), None)
        rename = f" (or call it .{extension} in {layout.section}.file)" if extension else ""
        raise GptmillError(
            f"{path} has no {NAMES[separator]} in its first line, but {NAMES[other]}s: {printable(header)}. "
            f"Save it with {NAMES[separator]}s between the columns{rename}."
        )


def _other_separator(line: str, separator: str) -> str | None:
    line = line[:10_000]
    return max((other for other in NAMES if other != separator and other in line), key=line.count, default=None)


def _without_blank_end(lines: Iterator[Record]) -> Iterator[Record]:
    """Without blank lines at the end of the file, which are not records."""
    blank: list[Record] = []
    for line, fields in lines:
        if fields in ([], [""]):
            blank.append((line, fields))
            if len(blank) > 1_000_000:  # a file of line ends: bad records
                yield from blank
                blank = []
            continue
        yield from blank
        blank = []
        yield line, fields


def _unquoted(path: Path, file: TextIO, separator: str, count: int | None) -> Iterator[Record]:
    """Only a line feed ends a line: texts may have other line ends of `str.splitlines`."""
    for number, line in enumerate(bounded_lines(path, file), start=1):
        line = line.removesuffix("\n").removesuffix("\r")
        yield number, line.split(separator, count - 1 if count else -1)


def _quoted(path: Path, file: TextIO, separator: str) -> Iterator[Record]:
    csv.field_size_limit(LONGEST_RECORD)
    reader = csv.reader(bounded_lines(path, file), delimiter=separator, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                what = "the quote of a field is never closed. Close it, or double the quotes inside a field"
            elif "field larger than" in str(error):
                what = f"a field has more than {LONGEST_RECORD:,} characters. Its quote may not be closed"
            elif "expected after" in str(error):
                what = 'a quote inside a field is not doubled, or a field continues after its quote. Write it as ""'
            else:
                what = f"it can't be read ({error})"
            raise GptmillError(f"{path}: in the record that starts in line {start} {what}.") from None
        yield start, fields
