"""Cache key of partial results: a hash of params, inputs, code and torch's version. Never reused under another key."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from pydantic import BaseModel

from gptmill.core import files, paths
from gptmill.core.tracked_run import Sections

_IGNORED = {"compute.threads"}  # changes only the last digits of sums: a training may resume with another number
PACKAGE = Path(__file__).parents[1]


def of_stage(stage: str, sections: Sections, inputs: Iterable[Path]) -> str:
    """16 hex digits of parameters, input files or folders, torch's version, and the stage's code by dvc.yaml."""
    values = {
        name: section.model_dump() if isinstance(section, BaseModel) else section
        for name, section in sections.items()
        if name not in _IGNORED
    }
    sources = [path for place in code(stage) for path in files.list_files(PACKAGE / place)]
    key = {
        "params": values,
        "inputs": {str(path): files.digest(path) for place in inputs for path in files.list_files(place)},
        "code": {str(path.relative_to(PACKAGE)): files.digest(path) for path in sources if path.suffix == ".py"},
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def code(stage: str) -> list[str]:
    """Files and folders of the package, relative to it, that dvc.yaml names for a stage."""
    from ruamel.yaml import YAML

    graph = YAML(typ="safe").load(paths.GRAPH.read_text(encoding="utf-8"))["stages"]
    prefix = f"src/{PACKAGE.name}/"
    return sorted(dep.removeprefix(prefix) for dep in graph[stage]["deps"] if dep.startswith(prefix))
