"""Where a run works: the workspace itself, or with a profile or overrides a copy of it that becomes a DVC experiment.

As with `dvc exp run --temp`, a copy has the last commit, uncommitted changes of its files, and its own params.yaml.
It is a clone in `.dvc/tmp/exps/` that shares the workspace's DVC cache. A `git worktree` would share all refs, and two
`dvc exp save` at once would overwrite each other's `refs/exps/exec/`. The experiment is fetched into the workspace,
where `dvc exp show` lists it and `dvc exp apply` applies it.

A copy is named by a hash of its content. A failed or cancelled run keeps its copy: the same run resumes there, with the
completed stages and the checkpoints of a training.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.core.git import git
from gptmill.tracking import run_tags
from pipelines.processes import Processes

COPIES = Path(".dvc/tmp/exps")
LOCK = Path(".gptmill/flow.lock")
PAGES = Path(".gptmill/experiments")
# A patch that `git apply` accepts, whatever the user's git configuration.
PATCH = (
    "diff",
    "--binary",
    "--unified=3",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


@dataclass(frozen=True)
class Workspace:
    """The folder of a run, and the experiment that it becomes ("": the run works in the workspace itself)."""

    folder: Path
    root: Path  # the user's workspace
    experiment: str = ""
    baseline: str = ""  # the experiment's commit

    def environment(self, run_id: str) -> dict[str, str]:
        """Variables for stages: this folder's code, this Python's tools, and the ID of the flow run."""
        variables = {name: value for name, value in os.environ.items() if name not in ("DVC_ROOT", "DVC_STAGE")}
        variables |= {
            "PYTHONPATH": os.pathsep.join([str(self.folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",  # output is logged at once
            "GPTMILL_RUN": run_id,
            "PREFECT__FLOW_RUN_ID": run_id,
        }
        if self.experiment:
            variables |= {"DVC_EXP_NAME": self.experiment, "DVC_EXP_BASELINE_REV": self.baseline}
        store = variables.get("MLFLOW_TRACKING_URI", "")
        if re.match(r"sqlite:///[^/]", store):  # relative to the workspace, also in a copy
            variables["MLFLOW_TRACKING_URI"] = f"sqlite:///{self.root / store.removeprefix('sqlite:///')}"
        return variables

    def save(
        self, stages: Sequence[str], processes: Processes, environment: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        """Save the copy as an experiment of the workspace. Raises `GptmillError`, or `Stopped` if it is stopped."""
        # Named stages, for `dvc exp save` would commit other stages' outputs too, which may be outdated.
        command = [sys.executable, "-m", "dvc", "exp", "save", "--force", "--name", self.experiment, *stages]
        result = processes.run(command, self.folder, environment, lambda _: None)
        processes.raise_if_stopped()
        if result.code:
            raise GptmillError(f"dvc exp save ended with {result.code}: {' '.join(list(result.output)[-3:])}")
        ref = f"refs/exps/{self.baseline[:2]}/{self.baseline[2:]}/{self.experiment}"
        git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(self.folder), f"+{ref}:{ref}", cwd=self.root)
        log(
            f"saved as the experiment {self.experiment}: `dvc exp show` compares it, `dvc exp apply {self.experiment}` "
            "applies it here"
        )

    def keep_reports(self) -> Path:
        """Copy reports and promotion decisions to the user's workspace. Returns the folder of the reports."""
        if not self.experiment:
            return self.root / paths.REPORTS
        if (decisions := self.folder / paths.PROMOTIONS).is_dir():
            shutil.copytree(decisions, self.root / paths.PROMOTIONS, dirs_exist_ok=True)
        pages = self.root / PAGES / self.experiment
        shutil.rmtree(pages, ignore_errors=True)
        pages.mkdir(parents=True)
        for page in (paths.REPORT, paths.DATA_CARDS, paths.DATA_DOCS):
            if (source := self.folder / page).is_dir():
                shutil.copytree(source, pages / page.name)
            elif source.exists():
                shutil.copy(source, pages / page.name)
        return pages

    def remove(self) -> None:
        """Remove a copy whose experiment is saved."""
        if self.experiment:
            shutil.rmtree(self.folder)


@contextmanager
def in_place(root: Path, processes: Processes, log: Callable[[str], None]) -> Iterator[Workspace]:
    """The workspace itself, as soon as no other run uses it."""
    with _exclusive(root / LOCK, processes, log):
        yield Workspace(root, root)


@contextmanager
def copy(root: Path, params: str, label: str, processes: Processes, log: Callable[[str], None]) -> Iterator[Workspace]:
    """A copy with `params` as params.yaml, new or left by the same run. `label` is part of its experiment's name."""
    head = git("rev-parse", "--verify", "--quiet", "HEAD", cwd=root, default="").strip()
    if not head:
        raise GptmillError(
            "a run with a profile or overrides is saved as a DVC experiment, which needs a commit to start from: "
            "git commit"
        )
    _version_sources(root)
    changes = git(*PATCH, "HEAD", cwd=root)
    # Without files that runs write: a stopped run is found again whatever has run meanwhile.
    decisive = git(*PATCH, "HEAD", "--", ".", f":!{paths.PARAMS}", *run_tags.WRITTEN_BY_RUNS, cwd=root)
    key = hashlib.sha256("\0".join([head, decisive, params]).encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"{re.sub(r'[^a-z0-9]+', '-', label.lower()).strip('-')[:40].strip('-') or 'run'}-{key}"
    folder = root / COPIES / f"gptmill-{key}"
    with _exclusive(root / COPIES / f"gptmill-{key}.lock", processes, log):
        if folder.exists():
            log(f"resumes in {folder.relative_to(root)}, where the same run stopped")
        else:
            log(f"works in a copy, {folder.relative_to(root)}")
            _make(root, folder, changes, params)
        yield Workspace(folder, root, name, head)


def _version_sources(root: Path) -> None:
    """Commit changes of data/sources to DVC, from which a copy gets them."""
    receipts = [path for path in sorted((root / paths.SOURCES).glob("*/*.dvc")) if path.with_suffix("").exists()]
    if receipts:
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "commit", "--quiet", "--force", *map(str, receipts)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GptmillError(f"DVC can't version what is in {paths.SOURCES}: {done.stderr.strip()}")


def _make(root: Path, folder: Path, changes: str, params: str) -> None:
    from dvc.exceptions import CheckoutError
    from dvc.repo import Repo

    tmp = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(tmp, ignore_errors=True)  # left by a killed run
    # --shared: objects are not copied. The copy has no remote, so that nothing is pushed from it by mistake.
    git("clone", "--quiet", "--shared", "--no-tags", "--origin", "workspace", str(root), str(tmp), cwd=root)
    git("checkout", "--quiet", "--detach", git("rev-parse", "HEAD", cwd=root).strip(), cwd=tmp)
    git("remote", "remove", "workspace", cwd=tmp)
    # An experiment is a commit, which needs an author.
    for key, default in {"user.name": "gptmill", "user.email": "gptmill@localhost"}.items():
        git("config", key, git("config", key, cwd=root, default="").strip() or default, cwd=tmp)
    if changes:
        git("apply", "--index", "--whitespace=nowarn", "-", stdin=changes, cwd=tmp)
    if (root / "dvc.lock").exists() and not (tmp / "dvc.lock").exists():
        shutil.copy(root / "dvc.lock", tmp)  # uncommitted: stages that ran in the workspace are cached
    (tmp / paths.PARAMS).write_text(params, encoding="utf-8")
    with Repo(str(root)) as repo:
        local, cache = repo.config.read("local"), repo.cache.local_cache_dir
    with Repo(str(tmp)) as repo, repo.config.edit("local") as config:
        for section, values in local.items():
            config.setdefault(section, {}).update(values)
        config["cache"]["dir"] = cache
    # Stages write what is not in the cache.
    with Repo(str(tmp), _wait_for_lock=True) as repo, suppress(CheckoutError):
        repo.checkout()
    tmp.rename(folder)


@contextmanager
def _exclusive(path: Path, processes: Processes, log: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock. Raises `Stopped` if the run is stopped while it waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log("waits for another flow run in the same folder")
        while not lock.is_locked:
            processes.raise_if_stopped()
            with suppress(Timeout):
                lock.acquire(timeout=1)
    try:
        yield
    finally:
        lock.release()
