"""csv and tsv: with or without a header line, with or without quotes (RFC 4180)."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.data.formats.schema import LONGEST_RECORD, Layout, Row, column_indices, printable

SEPARATORS = {"csv": ",", "tsv": "\t"}
NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}
Record = tuple[int, list[str]]  # the line where it starts, and its fields


def records(path: Path, layout: Layout) -> Iterator[Row]:
    """Without quotes and without a header, separators beyond the last column belong to it, as in the UCI messages. Else a record with more
    or fewer fields than columns is null throughout: nobody knows which field is which."""
    text_files.check_text(path)
    separator = SEPARATORS[layout.extension]
    with path.open(encoding="utf-8-sig", newline="" if layout.quotes else "\n") as file:
        found = (
            _quoted(path, file, separator)
            if layout.quotes
            else _unquoted(path, file, separator, len(layout.columns) or None)
        )
        if layout.columns:
            yield from _headless(path, layout, found, separator)
        else:
            yield from _under_header(path, layout, found, separator)


def _under_header(path: Path, layout: Layout, found: Iterator[Record], separator: str) -> Iterator[Row]:
    _, header = next(found, (1, []))
    names = [name.strip() for name in header]
    if len(names) == 1:
        _refuse_other_separator(path, layout, names[0], separator)
    if not layout.quotes and any(name.startswith('"') and name.endswith('"') and len(name) > 1 for name in names):
        raise GptmillError(
            f"{path} has quotes around the names of its columns: set {layout.section}.quotes: true in params.yaml."
        )
    where = column_indices(path, names, layout)
    for number, (_, fields) in enumerate(_without_blank_end(found), start=1):
        whole = len(fields) == len(names)
        yield number, tuple((fields[place] if whole else None) if place is not None else "" for place in where)


def _headless(path: Path, layout: Layout, found: Iterator[Record], separator: str) -> Iterator[Row]:
    count = len(layout.columns)
    where = column_indices(path, layout.columns, layout)
    number, divided, first = 0, count == 1, ""
    for number, (_, fields) in enumerate(_without_blank_end(found) if layout.quotes else found, start=1):
        first = first or (fields[0] if fields else "")
        divided = divided or len(fields) > 1
        if len(fields) < count and not layout.quotes:
            fields = [*fields, *[None] * (count - len(fields))]
        whole = len(fields) == count
        yield number, tuple((fields[place] if whole else None) if place is not None else "" for place in where)
    if number and not divided:
        mark = f"<{NAMES[separator].upper()}>" if separator == "\t" else separator
        other = _other_separator(first, separator)
        raise GptmillError(
            f"{path} has no {NAMES[separator]} in any of its {number:,} lines: {mark.join(layout.columns)} is expected. "
            + (f"It has {NAMES[other]}s: save it with {NAMES[separator]}s. " if other and other != "," else "")
            + text_files.FETCH_AGAIN
        )


def _refuse_other_separator(path: Path, layout: Layout, header: str, separator: str) -> None:
    if other := _other_separator(header, separator):
        ending = {",": " (or call it .csv in {0}.file)", "\t": " (or call it .tsv in {0}.file)"}.get(other, "").format(
            layout.section
        )
        raise GptmillError(
            f"{path} has no {NAMES[separator]} in its first line, but {NAMES[other]}s: {printable(header)}. "
            f"Save it with {NAMES[separator]}s between the columns{ending}."
        )


def _other_separator(line: str, separator: str) -> str | None:
    return max(
        (other for other in NAMES if other != separator and other in line[:10_000]),
        key=line[:10_000].count,
        default=None,
    )


def _without_blank_end(found: Iterator[Record]) -> Iterator[Record]:
    """Blank lines at the end of the file are no records."""
    blank: list[Record] = []
    for line, fields in found:
        if fields in ([], [""]):
            blank.append((line, fields))
            if len(blank) > 1_000_000:  # a file of line ends: they are records, and bad ones
                yield from blank
                blank = []
            continue
        yield from blank
        blank = []
        yield line, fields


def _unquoted(path: Path, file: TextIO, separator: str, count: int | None) -> Iterator[Record]:
    """Only a line feed ends a line: texts hold characters that `str.splitlines` would take for line ends."""
    number = 0
    while line := file.readline(LONGEST_RECORD):
        number += 1
        if len(line) == LONGEST_RECORD:
            raise GptmillError(
                f"{path}: line {number} has more than {LONGEST_RECORD - 1:,} characters: that is no record."
            )
        line = line.removesuffix("\n").removesuffix("\r")
        yield number, line.split(separator, count - 1 if count else -1)


def _quoted(path: Path, file: TextIO, separator: str) -> Iterator[Record]:
    csv.field_size_limit(LONGEST_RECORD)
    reader = csv.reader(_bounded(path, file), delimiter=separator, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                what = "the quote of a field is not closed up to the end of the file. Close it, or double the quotes inside a field"
            elif "field larger than" in str(error):
                what = f"a field has more than {LONGEST_RECORD:,} characters. A quote may not be closed"
            elif "expected after" in str(error):
                what = (
                    'a quote inside a field is not doubled, or a field goes on after its closing quote. Write it as ""'
                )
            else:
                what = f"it can't be read ({error})"
            raise GptmillError(f"{path}: in the record that starts in line {start} {what}.") from None
        yield start, fields


def _bounded(path: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST_RECORD):
        number += 1
        if len(line) == LONGEST_RECORD:
            raise GptmillError(
                f"{path}: line {number} has more than {LONGEST_RECORD - 1:,} characters: that is no record."
            )
        yield line
