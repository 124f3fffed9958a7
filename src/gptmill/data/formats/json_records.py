"""json (a list of records) and jsonl (a record a line)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.data.formats.schema import LONGEST_RECORD, Layout, Row, as_text, missing_column, printable

KEYS_SEEN = 1000  # records whose keys are looked at to say what there is


def array(path: Path, layout: Layout) -> Iterator[Row]:
    """Raises `GptmillError` when the file is not JSON, not a list, an empty list, or has no record with the wanted keys."""
    expected = f"a list of records with {layout.expected} is expected"
    text_files.check_text(path)
    found = _parse(path, text_files.read(path), expected)
    if not isinstance(found, list):
        within = (
            [printable(key) for key, value in found.items() if isinstance(value, list)]
            if isinstance(found, dict)
            else []
        )
        hint = (
            f" Its key {within[0]} holds a list: put that alone into the file."
            if within
            else f" {text_files.FETCH_AGAIN}"
        )
        raise GptmillError(f"{path} is JSON, but no list: {expected}.{hint}")
    if not found:
        raise GptmillError(f"{path} is an empty list: {expected}. {text_files.FETCH_AGAIN}")
    checks = _Keys(path, layout)
    for number, record in enumerate(found, start=1):
        yield number, checks.values(record)
    checks.finish(
        f"{path} is a list, but none of its {len(found):,} items is a record: {expected}. {text_files.FETCH_AGAIN}"
    )


def lines(path: Path, layout: Layout) -> Iterator[Row]:
    """A line that is no JSON is null throughout. Raises `GptmillError` when no line is a record."""
    text_files.check_text(path)
    checks = _Keys(path, layout)
    number, first = 0, ""
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        blank: list[int] = []
        while line := file.readline(LONGEST_RECORD):
            number += 1
            if len(line) == LONGEST_RECORD:
                raise GptmillError(
                    f"{path}: line {number} has more than {LONGEST_RECORD - 1:,} characters: that is no record."
                )
            if not line.strip():
                blank.append(number)  # at the end of the file they are nothing
                continue
            for empty in blank:
                yield empty, checks.values(None)
            blank = []
            record, problem = _parse_line(line)
            first = first or (f"line {number}: {problem}" if problem else f"line {number} is JSON, but no record")
            if number == 1 and (isinstance(record, list) or line.strip() == "["):
                raise GptmillError(
                    f"{path} is a JSON list, not a record a line: call it .json in {layout.section}.file."
                )
            yield number, checks.values(record)
    checks.finish(
        f"{path} has no record in any of its {number:,} lines ({first}); JSON with {layout.expected} in each line is expected."
    )


class _Keys:
    """Takes the wanted values out of records, and sees to it that each wanted key is there at all."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.missing = [field for field in layout.fields if not field.may_be_missing]
        self.there: dict[str, None] = {}  # a set that keeps its order
        self.records = 0

    def values(self, record: Any) -> tuple[str | None, ...]:
        if not isinstance(record, dict):
            return (None,) * len(self.layout.fields)
        self.records += 1
        if self.missing:
            self.missing = [field for field in self.missing if field.column not in record]
            if self.records <= KEYS_SEEN:
                self.there |= dict.fromkeys(record)
        return tuple(as_text(record.get(field.column), field) for field in self.layout.fields)

    def finish(self, without_records: str) -> None:
        if not self.records:
            raise GptmillError(without_records)
        if self.missing:
            raise missing_column(self.path, self.missing[0], self.there)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """A record in which a key stands twice is none: which of the two would be meant?"""
    record = dict(pairs)
    return record if len(record) == len(pairs) else None


def _parse(path: Path, content: str, expected: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        hint = (
            "It looks like one record a line; put them into one list."
            if error.msg == "Extra data"
            else text_files.FETCH_AGAIN
        )
        raise GptmillError(f"{path} is not JSON: {error.msg} at {where}; {expected}. {hint}") from None
    except (RecursionError, ValueError) as error:
        raise GptmillError(
            f"{path} is JSON that can't be read ({_too_much(error)}); {expected}. {text_files.FETCH_AGAIN}"
        ) from None


def _parse_line(line: str) -> tuple[Any, str]:
    try:
        return json.loads(line, object_pairs_hook=_once), ""
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at column {error.colno}"
    except (RecursionError, ValueError) as error:
        return None, _too_much(error)


def _too_much(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number has more than 4,300 digits"
