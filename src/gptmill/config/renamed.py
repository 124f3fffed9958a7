"""Renamed keys of params.yaml: the old names are read for one more release, with a warning that says what to write."""

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from gptmill.config.rendering import scalar

_SECTIONS = ("classifier", "instruct")
_KEYS = {"layers": "target_modules"}  # of lora, in those sections
_MODULES = {"projection": "out_proj", "expand": "up_proj", "contract": "down_proj"}

log = logging.getLogger(__name__)


def current(values: Any, source: object) -> Any:
    """The values of a params file or a profile under today's names. `source`: what the warning calls the file."""
    if not isinstance(values, Mapping):
        return values
    renamed, advice = dict(values), []
    for name in _SECTIONS:
        section = values.get(name)
        lora = section.get("lora") if isinstance(section, Mapping) else None
        if isinstance(lora, Mapping) and (new := _lora(lora)) != lora:
            renamed[name] = {**section, "lora": new}
            advice.append(f"{name}.lora.target_modules: {scalar(new['target_modules'])}")
    if advice:
        _warn(
            f"{source}: LoRA's layers have new names. Write {' and '.join(advice)}; "
            "the next release won't read the old names"
        )
    return renamed


def key_in(section: Mapping[str, Any], name: str) -> str:
    """The name, old or new, under which a section has a key; `name` when it has neither."""
    new = _KEYS.get(name)
    if name not in section and new in section:
        _warn(f"the parameter {name} has a new name. Write {new}; the next release won't read the old name")
        return new
    return next((old for old, other in _KEYS.items() if other == name and old in section), name)


def _lora(lora: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {old: new for old, new in _KEYS.items() if new not in lora}  # beside the new key, the old one is unknown
    values = {renamed.get(key, key): value for key, value in lora.items()}
    if isinstance(modules := values.get("target_modules"), list):
        values["target_modules"] = [
            _MODULES.get(module, module) if isinstance(module, str) else module for module in modules
        ]
    return values


@cache
def _warn(message: str) -> None:
    log.warning(message)
