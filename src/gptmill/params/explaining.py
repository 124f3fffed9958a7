"""What pydantic found wrong with a params file, as one message: each problem with its key, its value and what is allowed."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gptmill import errors
from gptmill.params import addresses


def explain(root: type[BaseModel], path: Path, error: ValidationError) -> str:
    """`root` is the section that the whole file is."""
    problems = []
    for item in error.errors():
        location = item["loc"]
        key = ".".join(str(part) for part in location) or "(file)"
        match item["type"]:
            case "extra_forbidden":
                problems.append(f"{key}: unknown key{_neighbours(root, location)}")
            case "missing":
                problems.append(f"{key}: missing; {_describe(root, location)}")
            case "model_type" | "model_attributes_type":
                known = ", ".join(_section(root, location).model_fields)
                problems.append(f"{key}: {_shown(item['input'])} is not a section; allowed are the keys {known}")
            case "value_error":
                problems.append(f"{key}: {item['ctx']['error']}")
            case _:
                problems.append(f"{key}: {_shown(item['input'])} is not allowed: {item['msg']}; {_describe(root, location)}")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"{path} has {count}:\n" + "\n".join(f"  {problem}" for problem in problems)


def _shown(value: Any) -> str:
    """A bad value may be an address with a password in it."""
    return addresses.without_secrets(errors.shown(value))


def _section(root: type[BaseModel], location: tuple) -> type[BaseModel]:
    for part in location:
        root = get_args(root)[0] if isinstance(part, int) else root.model_fields[part].annotation
    return root


def _neighbours(root: type[BaseModel], location: tuple) -> str:
    known = list(_section(root, location[:-1]).model_fields)
    close = get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _describe(root: type[BaseModel], location: tuple) -> str:
    while len(location) > 1 and isinstance(location[-1], int):  # what is said of a list holds for what is in it
        location = location[:-1]
    field = _section(root, location[:-1]).model_fields.get(location[-1])
    return (field.description if field else None) or "a section of its own"
