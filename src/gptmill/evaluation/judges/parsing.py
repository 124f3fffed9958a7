"""What a judge wrote, read as a verdict, or as none: nothing is guessed.

A score is read from JSON (bare, in a code fence or in the middle of prose), from `Score: 85` and its like, from a line that is a number
(`85`, `85/100`), and from a number that begins the reply with its reason behind it. All that is found must agree. A number in prose is no
score: "50/100 is 1/2, so it is right" says nothing of 50.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

WINNERS = ("first", "second", "tie")
LONGEST = 20_000  # characters; what is longer is no reply to these questions
MOST_SHOWN = 80

# Atomic groups, so that 85-90 is never read as 8.
_NUMBER = r"(?>(?P<number>[-−–]?\d++(?:[.,]\d++)?+)(?:\s*+(?:/|out of)\s*+(?P<of>\d++)|(?P<percent>\s?%))?+)"
_ENDS = r"(?![ \t]*[-−–/][ \t]*\d)"  # no range, no fraction of another kind
_LABEL = r"\b(?:score|rating|grade)\b[*_`\s]*(?:\([^()\n]{0,20}\)[*_`\s]*)?(?:[:=]|is\b)[*_`\s]*"
_LABELLED = re.compile(_LABEL + _NUMBER + _ENDS, re.IGNORECASE)
_LINE = re.compile(_NUMBER + r"\s*(?:points?)?\.?", re.IGNORECASE)
_WITH_REASON = re.compile(
    _NUMBER + r"(?:\s*[;–—-](?!\s*\d).*\S|,?\s+(?:because|since)\b.*|\s*\([^()]+\)\.?)", re.IGNORECASE
)
_WINNER = re.compile(
    r"\b(?:winner|verdict)\b[*_`\s]*(?:[:=]|is\b)[*_`\s]*(?:the\s+)?(?P<winner>first|second|tie)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Verdict:
    """`value` is a score on the rubric's scale or one of `WINNERS`; None when there is none, and `failure` says why."""

    value: int | str | None
    reason: str = ""  # what the judge said besides; all that it said when there is no value
    failure: str | None = None


class ParseError(ValueError):
    """Something that stands where a verdict should, and is none."""


def read_score(text: str, worst: int, best: int) -> Verdict:
    """The whole number from `worst` to `best` that the reply gives."""

    def from_json(value: Any) -> int:
        if isinstance(value, str) and (match := _LINE.fullmatch(value.strip())):
            return _whole(match, worst, best)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value != value
            or abs(value) > 1e9
            or value != int(value)
        ):
            raise ParseError(f"{_short(value)} is no whole number")
        return _in_range(int(value), worst, best)

    return _verdict(
        text, "score", from_json, lambda rest: _scores_in(rest, worst, best), f"no score from {worst} to {best}"
    )


def read_winner(text: str) -> Verdict:
    """Which of two answers the reply prefers."""

    def from_json(value: Any) -> str:
        if isinstance(value, str) and value.strip().lower() in WINNERS:
            return value.strip().lower()
        raise ParseError(f"{_short(value)} is none of {', '.join(WINNERS)}")

    def in_prose(rest: str) -> Iterator[Callable[[], str]]:
        for word in (
            [_bare(rest)] if _bare(rest) in WINNERS else [match["winner"].lower() for match in _WINNER.finditer(rest)]
        ):
            yield lambda word=word: word

    return _verdict(text, "winner", from_json, in_prose, "no winner")


def _verdict(text: str, key: str, from_json: Callable, in_prose: Callable, none: str) -> Verdict:
    _, ended, said = text.partition("</think>")
    if text.lstrip().startswith("<think>"):  # of models that think aloud first
        text = said if ended else ""
    text = text.strip()
    if len(text) > LONGEST:
        return Verdict(None, text[:LONGEST], f"a reply of more than {LONGEST:,} characters")
    objects = [found for found in _objects(text) if key in found]
    readings = [lambda found=found: from_json(found[key]) for found in objects] or in_prose(text)
    values: dict[int | str, None] = {}
    for reading in readings:
        try:
            values[reading()] = None
        except ParseError as error:
            return Verdict(None, text, str(error))
    if len(values) != 1:
        what = f"several {key}s ({', '.join(map(str, values))})" if values else none
        return Verdict(None, text, f"{what} in {_short(text)}")
    [value] = values
    if objects:
        reason = objects[0].get("reason")
        return Verdict(value, reason.strip() if isinstance(reason, str) else "")
    besides = _bare(_WINNER.sub("", _LABELLED.sub("", text)))
    return Verdict(value, text if besides not in WINNERS and re.search(r"[^\W\d_]", besides) else "")


def _scores_in(text: str, worst: int, best: int) -> Iterator[Callable[[], int]]:
    lines = [stripped for line in text.split("\n") if (stripped := line.strip(' \t*_`#>"'))]
    alone = [match for line in dict.fromkeys([*lines[:1], *lines[-1:]]) if (match := _LINE.fullmatch(line))]
    numbered = any(line[0].isdigit() for line in lines[1:])  # a list: the first line's number is its place in it
    opening = [match for line in lines[:1] if not alone and not numbered and (match := _WITH_REASON.fullmatch(line))]
    for match in [*alone, *opening, *_LABELLED.finditer(text)]:
        yield lambda match=match: _whole(match, worst, best)


def _whole(match: re.Match, worst: int, best: int) -> int:
    number, of, percent = match["number"], match["of"], match["percent"]
    whole, _, rest = re.sub("[−–]", "-", number).partition(".")
    if rest.strip("0") or "," in whole or len(whole) > 9 or (of and of != str(best)) or (percent and best != 100):
        raise ParseError(f"{_short(match[0].strip())} is no whole number from {worst} to {best}")
    return _in_range(int(whole), worst, best)


def _in_range(score: int, worst: int, best: int) -> int:
    if not worst <= score <= best:
        raise ParseError(f"{score} is not from {worst} to {best}")
    return score


def _bare(text: str) -> str:
    return text.strip(" \t\n*_`.\"'").lower()


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, the outermost ones, with their keys in lower case."""
    decoder, at = json.JSONDecoder(strict=False), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
        else:
            yield {name.lower(): item for name, item in value.items()}
            at = text.find("{", end)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= MOST_SHOWN else f"{shown[: MOST_SHOWN - 1]}…"
