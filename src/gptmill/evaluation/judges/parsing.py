"""Parses a judge's reply into a verdict. An ambiguous reply has none.

A score is read from JSON (bare, fenced or within prose), from `Score: 85` and the like, from a line that is a number
(`85`, `85/100`), and from a number at the start with its reason. All must agree. Other numbers in prose don't count.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

WINNERS = ("first", "second", "tie")
LONGEST = 20_000  # characters
MOST_SHOWN = 80

# Atomic groups, so that 85-90 is never read as 8.
_NUMBER = r"(?>(?P<number>[-−–]?\d++(?:[.,]\d++)?+)(?:\s*+(?:/|out of)\s*+(?P<of>\d++)|(?P<percent>\s?%))?+)"
_ENDS = r"(?![ \t]*[-−–/][ \t]*\d)"  # not a range, nor another fraction
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
    """`value`: a score on the rubric's scale, or one of `WINNERS`; None with the reason in `failure`."""

    value: int | str | None
    reason: str = ""  # the rest of the reply; all of it without a value
    failure: str | None = None


class ParseError(ValueError):
    """A malformed verdict."""


def read_score(text: str, worst: int, best: int) -> Verdict:
    """The reply's whole number from `worst` to `best`."""

    def from_json(value: Any) -> int:
        if isinstance(value, str) and (match := _LINE.fullmatch(value.strip())):
            return _whole(match, worst, best)
        number = not isinstance(value, bool) and isinstance(value, int | float)
        if not number or not abs(value) <= 1e9 or value != int(value):
            raise ParseError(f"{_short(value)} is not a whole number")
        return _in_range(int(value), worst, best)

    none = f"no score from {worst} to {best}"
    return _verdict(text, "score", from_json, lambda rest: _scores_in(rest, worst, best), none)


def read_winner(text: str) -> Verdict:
    """The answer that the reply prefers."""

    def from_json(value: Any) -> str:
        if isinstance(value, str) and value.strip().lower() in WINNERS:
            return value.strip().lower()
        raise ParseError(f"{_short(value)} is not one of {', '.join(WINNERS)}")

    def in_prose(rest: str) -> list[str]:
        return (
            [_bare(rest)] if _bare(rest) in WINNERS else [match["winner"].lower() for match in _WINNER.finditer(rest)]
        )

    return _verdict(text, "winner", from_json, in_prose, "no winner")


def _verdict(text: str, key: str, from_json: Callable, in_prose: Callable, none: str) -> Verdict:
    _, ended, answer = text.partition("</think>")
    if text.lstrip().startswith("<think>"):  # a reasoning model
        text = answer if ended else ""
    text = text.strip()
    if len(text) > LONGEST:
        return Verdict(None, text[:LONGEST], f"a reply of more than {LONGEST:,} characters")
    objects = [each for each in _objects(text) if key in each]
    try:
        values = list(dict.fromkeys([from_json(each[key]) for each in objects] or in_prose(text)))
    except ParseError as error:
        return Verdict(None, text, str(error))
    if len(values) != 1:
        what = f"several {key}s ({', '.join(map(str, values))})" if values else none
        return Verdict(None, text, f"{what} in {_short(text)}")
    value = values[0]
    if objects:
        reason = objects[0].get("reason")
        return Verdict(value, reason.strip() if isinstance(reason, str) else "")
    rest = _bare(_WINNER.sub("", _LABELLED.sub("", text)))
    return Verdict(value, text if rest not in WINNERS and re.search(r"[^\W\d_]", rest) else "")


def _scores_in(text: str, worst: int, best: int) -> list[int]:
    lines = [stripped for line in text.split("\n") if (stripped := line.strip(' \t*_`#>"'))]
    alone = [match for line in dict.fromkeys([*lines[:1], *lines[-1:]]) if (match := _LINE.fullmatch(line))]
    numbered = any(line[0].isdigit() for line in lines[1:])  # a list: a number that opens the reply is its item's
    opening = [match for line in lines[:1] if not alone and not numbered and (match := _WITH_REASON.fullmatch(line))]
    return [_whole(match, worst, best) for match in [*alone, *opening, *_LABELLED.finditer(text)]]


def _whole(match: re.Match, worst: int, best: int) -> int:
    number, of, percent = match["number"], match["of"], match["percent"]
    whole, _, rest = re.sub("[−–]", "-", number).partition(".")
    if rest.strip("0") or "," in whole or len(whole) > 9 or (of and of != str(best)) or (percent and best != 100):
        raise ParseError(f"{_short(match[0].strip())} is not a whole number from {worst} to {best}")
    return _in_range(int(whole), worst, best)


def _in_range(score: int, worst: int, best: int) -> int:
    if not worst <= score <= best:
        raise ParseError(f"{score} is not from {worst} to {best}")
    return score


def _bare(text: str) -> str:
    return text.strip(" \t\n*_`.\"'").lower()


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in a text, keys in lower case."""
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
