"""The stages of `dvc.yaml`, one file each: read, call the library, write, say what was done."""

from importlib import import_module
from pkgutil import iter_modules

from gptmill.errors import GptmillError
from gptmill.params import Params


def run(name: str, params: Params, item: str | None = None) -> None:
    """Run the stage in the file of that name; `item` is what comes after the @ of a stage that DVC runs for each of several items."""
    known = sorted(module.name for module in iter_modules(__path__))
    if name not in known:
        raise GptmillError(f"there is no stage {name}; there are {', '.join(known)}")
    try:
        import_module(f"{__name__}.{name}").run(params, *([item] if item else []))
    except FileNotFoundError as error:
        raise GptmillError(f"{error.filename} is not here. `dvc repro {name}` also runs the stages that make it.") from error
