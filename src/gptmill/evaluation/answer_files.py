"""Files of answers to be judged, whoever wrote them: a JSON list, or JSON lines. Whatever is wrong with one is said, with its row."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from gptmill.core import files
from gptmill.core.errors import GptmillError, short_repr

ANSWER_COLUMNS = ("response", "model_response")


def read_answers(path: Path) -> list[dict[str, Any]]:
    """Records with text in `instruction`, `input`, `output` and `response`; the answer may stand under `model_response`.

    Raises `GptmillError` when the file is no list of such records. An absent `input` is an empty one.
    """
    records = _read(path)
    if not records:
        raise GptmillError(f"{path} holds no records: there is nothing to judge")
    return [_checked(record, f"{path}, record {number}") for number, record in enumerate(records, start=1)]


def given_scores(records: list[dict[str, Any]], column: str, path: Path) -> list[float]:
    """The scores that stand under `column`, from 0 to 100. Raises `GptmillError` for one that is missing or is no such number."""
    scores = []
    for number, record in enumerate(records, start=1):
        if column not in record:
            raise GptmillError(
                f"{path}, record {number} has no column {column!r}; it has {', '.join(map(repr, record))}"
            )
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
        raise GptmillError(f"{path} is not here: name a file of answers, a JSON list or JSON lines") from None
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
        raise GptmillError(f"{where} is no object with instruction, input, output and response")
    column = next((name for name in ANSWER_COLUMNS if name in record), None)
    if column is None:
        raise GptmillError(
            f"{where} has no answer: neither {' nor '.join(map(repr, ANSWER_COLUMNS))} is among its keys"
        )
    found = {**record, "input": record.get("input", ""), "response": record[column]}
    for name in ("instruction", "input", "output", "response"):
        if name not in found:
            raise GptmillError(f"{where} has no {name!r}")
        if not isinstance(found[name], str):
            raise GptmillError(f"{where}: {name} is {short_repr(found[name], 60)}, not text")
    return found


def same_questions(
    records: list[dict[str, Any]], others: list[dict[str, Any]], path: Path, other_path: Path
) -> list[dict[str, Any]]:
    """The other file's record for each of these. Raises `GptmillError` unless both files ask the same questions, in whatever order."""

    def asked(found: list[dict[str, Any]]) -> list[tuple[tuple[str, str, int], dict[str, Any]]]:
        times: Counter[tuple[str, str]] = Counter()
        keyed = []
        for record in found:
            question = (record["instruction"], record["input"])
            keyed.append(((*question, times[question]), record))  # the second time that it is asked is another question
            times[question] += 1
        return keyed

    theirs = dict(asked(others))
    mine = asked(records)
    missing = next((key for key, _ in mine if key not in theirs), None)
    if missing or len(mine) != len(theirs):
        what = (
            f"{missing[0][:80]!r} is in {path} only"
            if missing
            else f"{other_path} asks {len(theirs) - len(mine)} questions more"
        )
        raise GptmillError(
            f"{path} and {other_path} don't ask the same questions, so they can't be compared in pairs: {what}"
        )
    return [theirs[key] for key, _ in mine]
