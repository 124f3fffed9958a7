"""Bounded YAML parser for files that people write: params.yaml, profiles, prefect.yaml, the head of a rubric.

Against YAML bombs (aliases that expand to millions of values) and deep nesting, the parser's events are counted before
a value is built, each alias as what it expands to.
"""

import re
from pathlib import Path
from typing import Any

from gptmill.core import files
from gptmill.core.errors import Unreadable

MOST_BYTES = 1 << 20
MOST_VALUES = 50_000  # with aliases expanded
DEEPEST = 50
LONGEST_NUMBER = 1000  # digits
_NUMBER = re.compile(r"[-+]?[0-9][0-9a-fox_.+-]*", re.IGNORECASE)


def read(path: Path) -> Any:
    """The file's value, by YAML 1.2. Raises `FileNotFoundError`, or `Unreadable` with the problem and its line."""
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    """Raises `Unreadable` for a file that is too large, or not a text file."""
    files.refuse_special(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise Unreadable(f"{path} has {size:,} bytes, more than the limit of {MOST_BYTES:,}")
    return files.read_text(path)


def parse(text: str, what: object) -> Any:
    """Raises `Unreadable`, which calls the text `what`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        # The pure parser: ruamel's parser in C reads YAML 1.1, where 1e-4 is a string. DVC reads 1.2.
        _check(YAML(typ="safe", pure=True).parse(text))
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        where = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Unreadable(f"{what}{where} is not readable YAML: {error.problem}") from None
    except (YAMLError, ValueError) as error:  # a number or a date that Python can't convert is a ValueError
        raise Unreadable(f"{what} is not readable YAML: {error}") from None


def _check(events: Any) -> None:
    """Raises `ValueError` beyond the limits. `events` is lazy, so that nothing after that is parsed."""
    from ruamel.yaml import events as kinds

    values: dict[str, int] = {}  # anchor -> values in it
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the values before it
    count = 0
    for event in events:
        if isinstance(event, kinds.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise ValueError(f"the alias *{event.anchor} stands within what it refers to")
            count += values.get(event.anchor, 1)
        elif isinstance(event, kinds.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
        elif isinstance(event, kinds.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                values[anchor] = count - before
        elif isinstance(event, kinds.ScalarEvent):
            count += 1
            if event.anchor:
                values[event.anchor] = 1
            if event.style is None and len(event.value) > LONGEST_NUMBER and _NUMBER.fullmatch(event.value):
                raise ValueError(f"a number of {len(event.value):,} digits")
        if count > MOST_VALUES:
            raise ValueError(f"it has more than {MOST_VALUES:,} values. Write out its aliases (*), or shorten it")
        if len(open_nodes) > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
