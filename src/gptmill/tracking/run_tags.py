"""What a run is tagged with: who, from which commit, for which DVC stage and experiment, in which flow; and what it read and wrote, by the
hashes that DVC knows the same bytes by."""

import getpass
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from gptmill.core import files, paths
from gptmill.tracking import locations

OUTPUT = "output."  # a tag for each output: output.models/base = its hash
LOCK = Path("dvc.lock")
# What a run itself writes of what git tracks, as pathspecs that leave it out. While a stage is at work, DVC has removed its metrics.
MADE = (f":!{LOCK}", f":!{paths.METRICS}", ":(exclude,glob)**/.gitignore")


def tags(name: str) -> dict[str, str]:
    """Those that a stage's run and a pipeline's have in common."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = ""
    said = {
        "mlflow.user": user,
        "mlflow.source.name": name,
        "mlflow.source.type": "LOCAL",
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.lock": files.digest(LOCK, "md5") if LOCK.exists() else "",
        "prefect.flow_run": os.environ.get("PREFECT__FLOW_RUN_ID", ""),
        **_commit(),
    }
    return {tag: value for tag, value in said.items() if value}


def _commit() -> dict[str, str]:
    """The commit, and whether the code or the params were others than its."""
    commit = git("rev-parse", "HEAD")
    dirty = str(bool(git("status", "--porcelain", "--untracked-files=no", "--", ".", *MADE))).lower()
    return {"mlflow.source.git.commit": commit, "git.dirty": dirty} if commit else {}


def git(*words: str) -> str:
    """What git answers; "" when it fails or is not there."""
    try:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def dvc_hash(path: Path) -> str:
    """The hash that DVC knows a file or a folder by. A folder's is of the sorted list of its files, and ends with `.dir`."""
    if not path.is_dir():
        return files.digest(path, "md5")
    names = sorted((str(PurePosixPath(file.relative_to(path))), file) for file in path.rglob("*") if file.is_file())
    listed = [{"md5": files.digest(file, "md5"), "relpath": name} for name, file in names]
    # The bytes of DVC's own listing: https://github.com/iterative/dvc-data, hashfile/tree.py
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def outputs(stage: str) -> dict[str, str]:
    """Output -> hash of what the stage has just written: all that dvc.yaml says it writes."""
    if not paths.GRAPH.exists():
        return {}
    said = read_yaml(paths.GRAPH)["stages"].get(stage, {})
    listed = [*said.get("outs", []), *said.get("metrics", []), *said.get("plots", [])]
    named = [Path(next(iter(out)) if isinstance(out, Mapping) else out) for out in listed]
    return {str(path): dvc_hash(path) for path in named if path.exists()}


def locked() -> dict[str, dict[str, str]]:
    """Stage -> output -> hash as dvc.lock has them, of the stages that have runs."""
    stages = read_yaml(LOCK).get("stages", {}) if LOCK.exists() else {}
    return {
        name: {out["path"]: out["md5"] for out in stages[name].get("outs", []) if "md5" in out}
        for name in locations.EXPERIMENTS
        if name in stages
    }


def read_yaml(path: Path) -> Any:
    """What is in the file; {} when it is empty."""
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
