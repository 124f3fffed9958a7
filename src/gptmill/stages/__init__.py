"""The stages of `dvc.yaml`, one file each: read inputs, call the library, write outputs, print a summary."""

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import Any

from gptmill.config.schema import Params
from gptmill.core.errors import GptmillError
from gptmill.runtime import launcher, torchrun


def run(name: str, params: Params, item: str | None = None, **tools: Any) -> None:
    """Run a stage by its name; `item` is what follows the @ of a `foreach` stage.

    `tools` (`track`, `watch`: see `core.run`) are passed to stages with a parameter of that name.
    """
    known = sorted(module.name for module in iter_modules(__path__))
    if name not in known:
        raise GptmillError(f"there is no stage {name}; there are {', '.join(known)}")
    if torchrun.is_torchrun():
        launcher.as_rank(lambda: _run(name, params, item, tools))
    elif _trains(name, params) and params.compute.launcher:
        launcher.launch(params.compute.launcher, name, ["-m", "gptmill", "stage", name])
    else:
        _run(name, params, item, tools)


def _trains(name: str, params: Params) -> bool:
    """Whether a stage trains, so that several processes can share its work."""
    return name.startswith("finetune_") or (name == "pretrain" and params.base.init == "scratch")


def _run(name: str, params: Params, item: str | None, tools: Mapping[str, Any]) -> None:
    stage = import_module(f"{__name__}.{name}").run
    tools = {tool: value for tool, value in tools.items() if tool in signature(stage).parameters}
    try:
        stage(params, *([item] if item else []), **tools)
    except FileNotFoundError as error:
        raise GptmillError(
            f"{error.filename} not found. `dvc repro {name}` also runs the stages that make it."
        ) from error
