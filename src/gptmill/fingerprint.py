"""What decides a result, as a name for what is kept on the way to it: work that was made with others is never gone on with."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from pydantic import BaseModel

from gptmill import files

# Of section `compute`: how fast and in how much memory, but not what comes out, or no more than the last digits of its sums.
_WITHOUT_INFLUENCE = {"launcher", "threads", "checkpoint_activations", "checkpoint_minutes"}


def of_stage(stage: str, sections: Mapping[str, BaseModel | int | str], inputs: Iterable[Path], code: Iterable[str]) -> str:
    """16 hex digits of parameters, input files (or folders of them), code and torch's version.

    `code`: files and folders under src/gptmill that the result depends on; the stage's own file is one of them without being named.
    """
    package = Path(__file__).parent
    values = {name: section.model_dump() if isinstance(section, BaseModel) else section for name, section in sections.items()}
    values["compute"] = {name: value for name, value in values["compute"].items() if name not in _WITHOUT_INFLUENCE}
    places = [package / "stages" / f"{stage}.py", *(package / name for name in code)]
    sources = [path for place in places for path in files.within(place)]
    said = {
        "params": values,
        "inputs": {str(path): files.digest(path) for place in inputs for path in files.within(place)},
        "code": {str(path.relative_to(package)): files.digest(path) for path in sources if path.suffix == ".py"},
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
