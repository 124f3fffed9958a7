"""Profiles: overlays on the defaults. `use` renders one as a complete params.yaml, with a comment for each key."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gptmill import config
from gptmill.config.rendering import render
from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError

DEFAULT = "sample"  # the profile of the repository's params.yaml


def load(name: str, root: Path = Path()) -> Params:
    """The defaults, updated by `profiles/<name>.yaml`.

    Raises `GptmillError` for an unknown profile, or with one line for each problem in it.
    """
    path = _find(name, root)
    overlay = config.read(path) or {}
    if not isinstance(overlay, Mapping):
        return config.validated(overlay, path)  # which raises
    return config.validated(_merged(Params().model_dump(), overlay), path)


def text(name: str, root: Path = Path()) -> str:
    """The params.yaml of a profile: complete, with a comment for each key. Raises `GptmillError` as `load` does."""
    return render(load(name, root), _heading(_find(name, root)))


def use(name: str, *, force: bool = False) -> str:
    """Write the params.yaml of a profile; returns a message.

    Raises `GptmillError` as `load` does, and without `force` when params.yaml has changes of the user's own.
    """
    new = text(name)
    current = _unpinned(files.read_text(paths.PARAMS)) if paths.PARAMS.exists() else None
    if current == new:
        return f"{paths.PARAMS} is profile {name} already."
    if current is not None and not force and current not in map(text, _names(Path())):
        raise GptmillError(
            f"{paths.PARAMS} has changes of your own, which profile {name} would replace. "
            f"Save them first: cp {paths.PARAMS} params.mine.yaml. Or drop them: gptmill params use {name} --force"
        )
    files.write_text(paths.PARAMS, new)
    message = f"{paths.PARAMS} now has profile {name}"
    if name == DEFAULT:
        return f"{message}, the default."
    return (
        f"{message}; a run then rewrites dvc.lock and metrics/ too. Back to the default: gptmill params use {DEFAULT}"
    )


def matching(values: Params) -> str | None:
    """The name of the profile with these values, if any."""
    return next((name for name in _names(Path()) if load(name) == values), None)


def _names(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / paths.PROFILES).glob("*.yaml") if path.is_file())


def _find(name: str, root: Path) -> Path:
    if name not in _names(root):
        raise GptmillError(f"unknown profile {name}; profiles/ has {', '.join(_names(root)) or 'nothing'}")
    return root / paths.PROFILES / f"{name}.yaml"


def _heading(path: Path) -> str:
    """The first comment of a profile."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines)


def _unpinned(text: str) -> str:
    """Without the hashes that `gptmill data refresh` writes, which are not the user's changes."""
    return re.sub(r'^( +sha256: )"[0-9a-f]{64}"', r'\1""', text, flags=re.MULTILINE)


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` updated by `above`, section by section; lists are replaced as a whole."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), dict)
        merged[key] = _merged(below[key], value) if both else value
    return merged
