"""Renders params.yaml: every key with its value and its description as a comment."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

from pydantic import BaseModel

WIDTH = 120  # longer lines get their comment above them
COLUMN = 34  # of comments, after shorter values


def render(params: BaseModel, heading: str) -> str:
    """The text of a params.yaml. `heading` is its first comment, without `#`."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for line in _section(params, ""):
        lines += ["", line] if line[0] not in " -#" and line.endswith(":") else [line]
    return "\n".join(lines) + "\n"


def _section(section: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield _commented(f"{indent}{name}:", field.description) if indent else f"{name}:"
            yield from _section(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            yield _commented(f"{indent}{name}:", field.description)
            for item in value:
                first, *rest = _section(item, indent + "    ")
                yield f"{indent}  - {first.lstrip()}"
                yield from rest
        else:
            yield _commented(f"{indent}{name}: {scalar(value)}", field.description)


def _commented(entry: str, description: str | None) -> str:
    line = f"{entry.ljust(COLUMN)}  # {description}"
    if not description:
        return entry
    if len(line) <= WIDTH:
        return line
    return f"{' ' * (len(entry) - len(entry.lstrip()))}# {description}\n{entry}"


def scalar(value: Any) -> str:
    """A value on one line, as YAML 1.2 reads it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    def plain(one: Any) -> Any:
        return DoubleQuotedScalarString(one) if one == "" else one

    if isinstance(value, list):
        value = CommentedSeq(map(plain, value))
        value.fa.set_flow_style()
    yaml, written = YAML(), StringIO()
    yaml.width, yaml.allow_unicode = 1 << 20, True
    yaml.dump({"value": plain(value)}, written)
    return written.getvalue().removeprefix("value: ").rstrip("\n")
