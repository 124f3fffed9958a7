"""Sets values in the text of a params file: comments, quotes and line ends stay."""

import json
from collections.abc import Mapping
from typing import Any

from gptmill.core.errors import GptmillError

Key = tuple[str, ...]


def set_values(text: str, values: Mapping[Key, str | list[str]]) -> str:
    """The text with new values. Raises `GptmillError` for a key whose value can't be replaced in place."""
    from ruamel.yaml import YAML

    edits = sorted((_edit(YAML().compose(text), key, value) for key, value in values.items()), reverse=True)
    for start, end, new in edits:  # from the end, so that earlier positions stay valid
        text = text[:start] + new + text[end:]
    for key, value in values.items():
        if _read(text, key) != value:
            raise _by_hand(key, value)
    return text


def _read(text: str, key: Key) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(text)
        for part in key:
            value = value[part]
    except (YAMLError, KeyError, TypeError):
        return None
    return value


def _by_hand(key: Key, value: str | list[str]) -> GptmillError:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return GptmillError(f"{'.'.join(key)} can't be changed in params.yaml as it is written: set it to {text} yourself.")


def _edit(node: Any, key: Key, value: str | list[str]) -> tuple[int, int, str]:
    for part in key:
        node = next((item for name, item in getattr(node, "value", ()) if getattr(name, "value", None) == part), None)
    # JSON is YAML too; not escaped, to stay readable.
    new = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        if node is not None and isinstance(node.value, str) and node.start_mark.line == node.end_mark.line:
            return node.start_mark.index, node.end_mark.index, new
    elif node is not None and isinstance(node.value, list):
        if node.flow_style or not node.value:
            return node.start_mark.index, node.end_mark.index, new
        # One line replaces a list of one item per line, which starts at its first dash.
        return node.start_mark.index, node.value[-1].end_mark.index, f"- {new[1:-1]}"
    raise _by_hand(key, value)
