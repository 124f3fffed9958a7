"""The stages of `dvc.yaml`, one file each: read, call the library, write, say what was done."""

from importlib import import_module
from pkgutil import iter_modules

from gptmill import launcher, ranks
from gptmill.errors import GptmillError
from gptmill.params import Params


def run(name: str, params: Params, item: str | None = None) -> None:
    """Run the stage in the file of that name; `item` is what comes after the @ of a stage that DVC runs for each of several items."""
    known = sorted(module.name for module in iter_modules(__path__))
    if name not in known:
        raise GptmillError(f"there is no stage {name}; there are {', '.join(known)}")
    if ranks.started():
        launcher.as_rank(lambda: _run(name, params, item))
    elif _trains(name, params) and params.compute.launcher:
        launcher.launch(params.compute.launcher, name, ["-m", "gptmill", "stage", name])
    else:
        _run(name, params, item)


def _trains(name: str, params: Params) -> bool:
    """Whether there is something that several processes can do."""
    return name in ("finetune_classifier", "finetune_instruct") or (name == "pretrain" and params.base.init == "scratch")


def _run(name: str, params: Params, item: str | None) -> None:
    try:
        import_module(f"{__name__}.{name}").run(params, *([item] if item else []))
    except FileNotFoundError as error:
        raise GptmillError(f"{error.filename} is not here. `dvc repro {name}` also runs the stages that make it.") from error
