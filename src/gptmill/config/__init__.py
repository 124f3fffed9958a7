"""`params.yaml`, read and checked before any work is done.

An unknown key, a wrong type or a value out of range raises one `GptmillError` that lists each problem with its key, its
value and what is allowed.
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
    """Read and check a whole params file. Raises `GptmillError` with one line for each problem."""
    return validated(read(path), path)


def read(path: Path) -> Any:
    """What a params file or a profile holds, under today's names. Raises `GptmillError` when it can't be read."""
    try:
        return renamed.current(safe_yaml.read(path), path)
    except FileNotFoundError:
        raise GptmillError(
            f"{path} is not here. Run gptmill from the project's root, or bring it back: gptmill params use sample"
        ) from None


def validated(values: Any, path: Path) -> Params:
    """The parameters that a file holds, none missing: DVC compares values, and does not know the defaults. Raises `GptmillError`."""
    absent = [f"{key}: missing; {meaning}" for key, meaning in find_missing(Params, values)]
    problems: list[str] = []
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        problems = problem_lines(Params, error)
    if problems or absent:
        found = [*problems, *absent]
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        add = ["`gptmill params complete` adds what is missing, with its default"] if absent else []
        raise GptmillError("\n".join([f"{path} has {count}:", *(f"  {problem}" for problem in found), *add]))
    return params


def parse(text: str) -> Params:
    """Params from a text that was checked before."""
    from ruamel.yaml import YAML

    return Params.model_validate(renamed.current(YAML(typ="safe", pure=True).load(text), paths.PARAMS))


def describe(params: Params) -> Iterator[tuple[str, Any, str]]:
    """(dotted key, value, what it means) for every parameter."""

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
    """(dotted key, value) of sections of params, or of single values by their names."""
    for name, section in sections.items():
        if isinstance(section, BaseModel):
            section = section.model_dump()
        if isinstance(section, Mapping):
            yield from flatten({f"{name}.{key}": value for key, value in section.items()})
        else:
            yield name, section
