"""Error messages for params files: each problem with its key, its value and what is allowed."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gptmill.core import addresses, errors


def find_missing(section: type[BaseModel], values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, description) of keys that a file lacks. Values that are not sections are left to pydantic."""
    if not isinstance(values, Mapping):
        return
    for name, field in section.model_fields.items():
        inner = get_args(field.annotation)[0] if get_origin(field.annotation) is list else field.annotation
        if name not in values:
            yield f"{prefix}{name}", field.description or "a section of its own"
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            items = values[name]
            for i, item in enumerate(items) if isinstance(items, list) else [("", items)]:
                yield from find_missing(inner, item, f"{prefix}{name}.{i}." if i != "" else f"{prefix}{name}.")


def problem_lines(root: type[BaseModel], error: ValidationError) -> list[str]:
    """pydantic's errors, one line each. `root` is the schema of the whole file."""
    problems = []
    for item in error.errors():
        location = item["loc"]
        key = ".".join(str(part) for part in location) or "(file)"
        match item["type"]:
            case "extra_forbidden":
                problems.append(f"{key}: unknown key{_neighbours(root, location)}")
            case "model_type" | "model_attributes_type":
                known = ", ".join(_section(root, location).model_fields)
                problems.append(f"{key}: {_shown(item['input'])} is not a section; allowed are the keys {known}")
            case "value_error":
                problems.append(f"{key}: {item['ctx']['error']}")
            case _:
                problems.append(
                    f"{key}: {_shown(item['input'])} is not allowed: {item['msg']}; {_describe(root, location)}"
                )
    return problems


def _shown(value: Any) -> str:
    """Redacted: a bad value may be an address with a password."""
    return addresses.redact(errors.short_repr(value))


def _section(root: type[BaseModel], location: tuple) -> type[BaseModel]:
    for part in location:
        root = get_args(root)[0] if isinstance(part, int) else root.model_fields[part].annotation
    return root


def _neighbours(root: type[BaseModel], location: tuple) -> str:
    known = list(_section(root, location[:-1]).model_fields)
    close = get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _describe(root: type[BaseModel], location: tuple) -> str:
    while len(location) > 1 and isinstance(location[-1], int):  # a list's description holds for its items
        location = location[:-1]
    field = _section(root, location[:-1]).model_fields.get(location[-1])
    return (field.description if field else None) or "a section of its own"
