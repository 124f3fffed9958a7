"""json (a list of records) and jsonl (a record per line)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.data.formats.schema import Layout, Row, as_text, bounded_lines, missing_column, printable

KEYS_SEEN = 1000  # records whose keys are listed in a message


def array(path: Path, layout: Layout) -> Iterator[Row]:
    """Raises `GptmillError` when the file is not a JSON list, or has no record with the keys of the layout."""
    expected = f"a list of records with {layout.expected} is expected"
    text_files.check_text(path)
    values = _parse(path, text_files.read(path), expected)
    if not isinstance(values, list):
        items = values.items() if isinstance(values, dict) else ()
        key = next((printable(key) for key, value in items if isinstance(value, list)), None)
        hint = f"Its key {key} holds a list: put that alone into the file." if key else text_files.FETCH_AGAIN
        raise GptmillError(f"{path} is JSON, but not a list: {expected}. {hint}")
    if not values:
        raise GptmillError(f"{path} is an empty list: {expected}. {text_files.FETCH_AGAIN}")
    checks = _Keys(path, layout)
    for number, record in enumerate(values, start=1):
        yield number, checks.values(record)
    problem = f"{path} is a list, but none of its {len(values):,} items is a record: {expected}"
    checks.finish(f"{problem}. {text_files.FETCH_AGAIN}")


def lines(path: Path, layout: Layout) -> Iterator[Row]:
    """A line that is not JSON is a null record. Raises `GptmillError` when no line is a record."""
    text_files.check_text(path)
    checks = _Keys(path, layout)
    number, first = 0, ""
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        blank: list[int] = []
        for number, line in enumerate(bounded_lines(path, file), start=1):
            if not line.strip():
                blank.append(number)  # ignored at the end of the file
                continue
            for empty in blank:
                yield empty, checks.values(None)
            blank = []
            record, problem = _parse_line(line)
            first = first or (f"line {number}: {problem}" if problem else f"line {number} is JSON, but not a record")
            if number == 1 and (isinstance(record, list) or line.strip() == "["):
                raise GptmillError(f"{path} is a JSON list, not jsonl: call it .json in {layout.section}.file.")
            yield number, checks.values(record)
    problem = f"{path} has no record in any of its {number:,} lines ({first})"
    checks.finish(f"{problem}; JSON with {layout.expected} in each line is expected.")


class _Keys:
    """Takes the fields out of records, and checks that each key occurs at all."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.missing = [field for field in layout.fields if not field.may_be_missing]
        self.present: dict[str, None] = {}  # an ordered set
        self.records = 0

    def values(self, record: Any) -> tuple[str | None, ...]:
        if not isinstance(record, dict):
            return (None,) * len(self.layout.fields)
        self.records += 1
        if self.missing:
            self.missing = [field for field in self.missing if field.column not in record]
            if self.records <= KEYS_SEEN:
                self.present |= dict.fromkeys(record)
        return tuple(as_text(record.get(field.column), field) for field in self.layout.fields)

    def finish(self, without_records: str) -> None:
        if not self.records:
            raise GptmillError(without_records)
        if self.missing:
            raise missing_column(self.path, self.missing[0], self.present)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """None for a record with a duplicate key, which is ambiguous."""
    record = dict(pairs)
    return record if len(record) == len(pairs) else None


def _parse(path: Path, content: str, expected: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        is_jsonl = error.msg == "Extra data"
        hint = "It looks like jsonl; put the records into one list." if is_jsonl else text_files.FETCH_AGAIN
        raise GptmillError(f"{path} is not JSON: {error.msg} at {where}; {expected}. {hint}") from None
    except (RecursionError, ValueError) as error:
        problem = f"{path} is JSON that can't be read ({_limit(error)}); {expected}"
        raise GptmillError(f"{problem}. {text_files.FETCH_AGAIN}") from None


def _parse_line(line: str) -> tuple[Any, str]:
    try:
        return json.loads(line, object_pairs_hook=_once), ""
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at column {error.colno}"
    except (RecursionError, ValueError) as error:
        return None, _limit(error)


def _limit(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number has more than 4,300 digits"
