"""Reads files of answers to judge: a JSON list or JSON lines. Errors name the record."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from gptmill.core import files
from gptmill.core.errors import GptmillError, short_repr

ANSWER_COLUMNS = ("response", "model_response")


def read_answers(path: Path) -> list[dict[str, Any]]:
    """Records with text in `instruction`, `input` (optional), `output`, and `response` or `model_response`.

    Raises `GptmillError` for any other file.
    """
    records = _read(path)
    if not records:
        raise GptmillError(f"{path} holds no records: there is nothing to judge")
    return [_checked(record, f"{path}, record {number}") for number, record in enumerate(records, start=1)]


def given_scores(records: list[dict[str, Any]], column: str, path: Path) -> list[float]:
    """The scores under `column`, 0 to 100. Raises `GptmillError` for a missing or invalid one."""
    scores = []
    for number, record in enumerate(records, start=1):
        if column not in record:
            columns = ", ".join(map(repr, record))
            raise GptmillError(f"{path}, record {number} has no column {column!r}; it has {columns}")
        score = record[column]
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 100:
            raise GptmillError(
                f"{path}, record {number}: {column} is {short_repr(score, 60)}, not a number from 0 to 100"
            )
        scores.append(float(score))
    return scores


def _read(path: Path) -> list[Any]:
    try:
        text = files.read_text(path, "utf-8-sig")
    except FileNotFoundError:
        raise GptmillError(f"{path} not found: name a file of answers, a JSON list or JSON lines") from None
    except OSError as error:
        raise GptmillError(f"{path} can't be read as text: {error}") from None
    try:
        if text.lstrip().startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise GptmillError(f"{path} is neither a JSON list nor JSON lines: {error}") from None


def _checked(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise GptmillError(f"{where} is not an object with instruction, input, output and response")
    column = next((name for name in ANSWER_COLUMNS if name in record), None)
    if column is None:
        columns = " nor ".join(map(repr, ANSWER_COLUMNS))
        raise GptmillError(f"{where} has no answer: neither {columns} is among its keys")
    checked = {**record, "input": record.get("input", ""), "response": record[column]}
    for name in ("instruction", "input", "output", "response"):
        if name not in checked:
            raise GptmillError(f"{where} has no {name!r}")
        if not isinstance(checked[name], str):
            raise GptmillError(f"{where}: {name} is {short_repr(checked[name], 60)}, not text")
    return checked


def same_questions(
    records: list[dict[str, Any]], others: list[dict[str, Any]], path: Path, other_path: Path
) -> list[dict[str, Any]]:
    """The other file's record for each of these, in any order. Raises `GptmillError` where the questions differ."""
    mine, theirs = _by_question(records), _by_question(others)
    missing = next((question for question in mine if question not in theirs), None)
    if missing or len(mine) != len(theirs):
        more = f"{other_path} asks {len(theirs) - len(mine)} questions more"
        what = f"{missing[0][:80]!r} is in {path} only" if missing else more
        raise GptmillError(
            f"{path} and {other_path} don't ask the same questions, so they can't be compared in pairs: {what}"
        )
    return [theirs[question] for question in mine]


def _by_question(records: list[dict[str, Any]]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Instruction, input, and which repetition of these: record."""
    times: Counter[tuple[str, str]] = Counter()
    questions = {}
    for record in records:
        question = (record["instruction"], record["input"])
        questions[(*question, times[question])] = record
        times[question] += 1
    return questions
