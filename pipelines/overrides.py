"""params.yaml of a run with a profile or overrides: `--profile mini --set base.epochs=2`."""

import tempfile
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any

from gptmill import config
from gptmill.config import profiles, renamed, safe_yaml
from gptmill.core import paths
from gptmill.core.errors import GptmillError


def params_text(root: Path, profile: str | None, overrides: Sequence[str]) -> str:
    """A valid params.yaml as text: the profile's, or else the project's, with overrides such as `classifier.epochs=3`.

    Raises `GptmillError` that names the unknown key or invalid value.
    """
    if profile is not None:
        text = profiles.text(profile, root)
    else:
        source = root / paths.PARAMS
        config.load(source)  # its own errors first
        text = source.read_text(encoding="utf-8")
    return _overridden(text, root, overrides) if overrides else text


def _overridden(text: str, root: Path, overrides: Sequence[str]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 10_000  # other lines stay unchanged
    yaml.indent(mapping=2, sequence=4, offset=2)
    values = yaml.load(text)
    for override in overrides:
        key, equals, value = override.partition("=")
        *sections, name = key.strip().split(".")
        section = values
        for part in sections:
            section = _child(section, part)
        name = renamed.key_in(section, name) if isinstance(section, Mapping) else name
        if not equals or not isinstance(section, Mapping) or name not in section or isinstance(section[name], Mapping):
            raise GptmillError(
                f"{override} overrides nothing: give a key of params.yaml and its value, as in base.epochs=3"
                f"{_suggestion(key, root)}"
            )
        safe_yaml.parse(value, f"{override}: the value")
        section[name] = yaml.load(value)  # keeps its style: a list on one line stays on one line
    result = StringIO()
    yaml.dump(values, result)
    with tempfile.TemporaryDirectory(prefix="gptmill-") as folder:
        path = Path(folder, paths.PARAMS)
        path.write_text(result.getvalue(), encoding="utf-8")
        try:
            config.load(path)
        except GptmillError as error:
            raise GptmillError(str(error).replace(str(path), f"params.yaml with {' '.join(overrides)}")) from None
    return result.getvalue()


def _child(section: Any, part: str) -> Any:
    """The value at a key of a mapping, or at an index of a list; None if there is none."""
    if isinstance(section, list) and part.isdecimal():
        return section[int(part)] if int(part) < len(section) else None
    return section.get(part) if isinstance(section, Mapping) else None


def _suggestion(key: str, root: Path) -> str:
    known = [known for known, _, _ in config.describe(config.load(root / paths.PARAMS))]
    close = [match for match in get_close_matches(key, known, n=1) if match != key]
    return f". Did you mean {close[0]}?" if close else ". `gptmill params show` lists them"
