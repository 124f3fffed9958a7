"""The tags of a run: user, git commit, DVC experiment, Prefect flow run."""

import getpass
import os

from gptmill.core import files, paths
from gptmill.core.git import git
from gptmill.tracking.dvc_lock import LOCK

OUTPUT = "output."  # a tag per output: output.models/base = its hash
# What runs write of what git tracks, as pathspecs that leave it out. DVC removes a stage's metrics before it runs.
WRITTEN_BY_RUNS = (f":!{LOCK}", f":!{paths.METRICS}", ":(exclude,glob)**/.gitignore")


def tags(name: str) -> dict[str, str]:
    """Those of a stage's run and of a pipeline's."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = ""
    values = {
        "mlflow.user": user,
        "mlflow.source.name": name,
        "mlflow.source.type": "LOCAL",
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.lock": files.digest(LOCK, "md5") if LOCK.exists() else "",
        "prefect.flow_run": os.environ.get("PREFECT__FLOW_RUN_ID", ""),
        **_commit(),
    }
    return {tag: value for tag, value in values.items() if value}


def _commit() -> dict[str, str]:
    """The commit, and whether code or params differ from it."""
    commit = git("rev-parse", "HEAD", default="").strip()
    changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", *WRITTEN_BY_RUNS, default="")
    return {"mlflow.source.git.commit": commit, "git.dirty": str(bool(changes.strip())).lower()} if commit else {}
