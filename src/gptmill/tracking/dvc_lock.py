"""dvc.lock, DVC's receipt of each stage's last run; and the hashes by which DVC knows files and folders."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gptmill.config import safe_yaml
from gptmill.core import files, paths

LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class StageReceipt:
    command: str
    params: Mapping[str, Any]  # file -> key -> value
    deps: Mapping[str, str]  # path -> MD5
    outs: Mapping[str, tuple[str, int]]  # path -> MD5 ("" without one), bytes


def read() -> dict[str, StageReceipt]:
    """The receipts of dvc.lock; {} when there is none."""
    return _receipts(_load(LOCK)) if LOCK.exists() else {}


def parse(text: str) -> dict[str, StageReceipt]:
    """The receipts in the text of a dvc.lock from elsewhere. Raises `Unreadable`."""
    return _receipts(safe_yaml.parse(text, LOCK) or {})


def _receipts(content: Mapping[str, Any]) -> dict[str, StageReceipt]:
    return {
        name: StageReceipt(
            stage.get("cmd"),
            stage.get("params", {}),
            {dep["path"]: dep.get("md5", "") for dep in stage.get("deps", [])},
            {out["path"]: (out.get("md5", ""), out.get("size", 0)) for out in stage.get("outs", [])},
        )
        for name, stage in (content.get("stages") or {}).items()
    }


def dvc_hash(path: Path) -> str:
    """DVC's hash of a file or folder. A folder's is of the sorted list of its files, and ends with `.dir`."""
    if not path.is_dir():
        return files.digest(path, "md5")
    names = sorted((str(PurePosixPath(file.relative_to(path))), file) for file in path.rglob("*") if file.is_file())
    listed = [{"md5": files.digest(file, "md5"), "relpath": name} for name, file in names]
    # The bytes of DVC's own listing: https://github.com/iterative/dvc-data, hashfile/tree.py
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def hash_outputs(stage: str) -> dict[str, str]:
    """Output -> hash, now, of the stage's outputs in dvc.yaml. DVC writes dvc.lock only after the stage."""
    if not paths.GRAPH.exists():
        return {}
    plan = _load(paths.GRAPH)["stages"].get(stage, {})
    listed = [*plan.get("outs", []), *plan.get("metrics", []), *plan.get("plots", [])]
    named = [Path(next(iter(out)) if isinstance(out, Mapping) else out) for out in listed]
    return {str(path): dvc_hash(path) for path in named if path.exists()}


def _load(path: Path) -> Any:
    """A YAML file that is DVC's or ours: parsed in C, five times as fast as by `safe_yaml`."""
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
