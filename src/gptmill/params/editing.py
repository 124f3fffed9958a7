"""New values in a params file as a person wrote it: nothing but the value changes, no comment, quote or line end."""

import json
from collections.abc import Mapping
from typing import Any

from gptmill.errors import GptmillError

Key = tuple[str, ...]


def changed(text: str, values: Mapping[Key, str | list[str]]) -> str:
    """The text of a params file with these values. Raises `GptmillError` for a key whose value is not written where it can be replaced."""
    from ruamel.yaml import YAML

    edits = sorted((_edit(YAML().compose(text), key, value) for key, value in values.items()), reverse=True)
    for start, end, new in edits:  # from the end of the file, so that places before stay right
        text = text[:start] + new + text[end:]
    return text


def _edit(node: Any, key: Key, value: str | list[str]) -> tuple[int, int, str]:
    for part in key:
        node = next((found for name, found in getattr(node, "value", ()) if getattr(name, "value", None) == part), None)
    # Quoted as JSON, which YAML reads too; not escaped, so that a person can read it.
    new = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        if node is not None and isinstance(node.value, str) and node.start_mark.line == node.end_mark.line:
            return node.start_mark.index, node.end_mark.index, new
    elif node is not None and isinstance(node.value, list):
        if node.flow_style or not node.value:
            return node.start_mark.index, node.end_mark.index, new
        # A list of one line each, which starts at its first dash: one line takes their place.
        return node.start_mark.index, node.value[-1].end_mark.index, f"- {new[1:-1]}"
    dotted = ".".join(key)
    raise GptmillError(
        f"{dotted} can't be found in params.yaml as it is written: set it to {value if isinstance(value, str) else new} yourself."
    )
