"""Loads `params.yaml` and validates it before any work is done.

Unknown keys, wrong types and values out of range raise one `GptmillError`, with the key, the value and what is allowed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gptmill.config import renamed, safe_yaml
from gptmill.config.messages import find_missing, problem_lines
from gptmill.config.schema import Params
from gptmill.core import paths
from gptmill.core.errors import GptmillError


def load(path: Path = paths.PARAMS) -> Params:
    """Read and validate a params file. Raises `GptmillError` with one line for each problem."""
    return validated(read(path), path)


def read(path: Path) -> Any:
    """The values of a params file or a profile, under today's names. Raises `GptmillError` when it can't be read."""
    try:
        return renamed.current(safe_yaml.read(path), path)
    except FileNotFoundError:
        advice = "Run gptmill from the project's root, or restore it: gptmill params use sample"
        raise GptmillError(f"{path} not found. {advice}") from None


def validated(values: Any, path: Path) -> Params:
    """Raises `GptmillError` for missing keys too: DVC compares values, and does not know the defaults."""
    absent = [f"{key}: missing; {meaning}" for key, meaning in find_missing(Params, values)]
    problems: list[str] = []
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        problems = problem_lines(Params, error)
    if problems or absent:
        lines = [f"  {problem}" for problem in (*problems, *absent)]
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        add = ["`gptmill params complete` adds missing keys with their defaults"] if absent else []
        raise GptmillError("\n".join([f"{path} has {count}:", *lines, *add]))
    return params


def parse(text: str) -> Params:
    """Params from a text that is known to be valid."""
    from ruamel.yaml import YAML

    return Params.model_validate(renamed.current(YAML(typ="safe", pure=True).load(text), paths.PARAMS))


def describe(params: Params) -> Iterator[tuple[str, Any, str]]:
    """(dotted key, value, description) of every parameter."""

    def walk(section: BaseModel, prefix: str) -> Iterator[tuple[str, Any, str]]:
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            if isinstance(value, BaseModel):
                yield from walk(value, f"{prefix}{name}.")
            elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
                for place, item in enumerate(value):
                    yield from walk(item, f"{prefix}{name}.{place}.")
            else:
                yield f"{prefix}{name}", value, field.description or ""

    yield from walk(params, "")


def flatten(sections: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of sections or single values of params."""
    for name, section in sections.items():
        if isinstance(section, BaseModel):
            section = section.model_dump()
        if isinstance(section, Mapping):
            yield from flatten({f"{name}.{key}": value for key, value in section.items()})
        else:
            yield name, section
