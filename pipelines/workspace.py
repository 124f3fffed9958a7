"""Runs that leave the workspace alone: a working copy of its own for each set of parameters, saved as a DVC experiment at the end.

What runs is what `dvc exp run --temp` would: the last commit, changes to its files that are not committed, and the parameters asked for.
The copy is a clone in `.dvc/tmp/exps/`, where DVC has its own, with the workspace's DVC cache. No `git worktree`: those share all refs,
and `dvc exp save` writes some (`refs/exps/exec/`) that two runs at once would take from each other. The experiment is fetched back, so
that `dvc exp show` lists it and `dvc exp apply` brings it into the workspace.

The copy's name says what is in it. One that failed or was cancelled is kept: the same run again goes on there, with the stages that are
done and the checkpoints of a training.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gptmill import config as params_file
from gptmill.config import profiles, renamed, safe_yaml
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.tracking import run_tags
from pipelines.processes import Processes

COPIES = Path(".dvc/tmp/exps")
LOCK = Path(".gptmill/flow.lock")
PAGES = Path(".gptmill/experiments")
# A patch that `git apply` takes, however the user likes to see them.
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
    """Where a run works: the folder, and the experiment that it becomes ("": it works in the workspace itself)."""

    folder: Path
    root: Path  # the workspace
    experiment: str = ""
    baseline: str = ""  # the experiment's commit

    def environment(self, run: str) -> dict[str, str]:
        """For the stages: the code of this folder, the tools of this Python, and the name of the run that they are part of."""
        given = {name: value for name, value in os.environ.items() if name not in ("DVC_ROOT", "DVC_STAGE")}
        given |= {
            "PYTHONPATH": os.pathsep.join([str(self.folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",  # so that what a stage says is seen when it says it
            "GPTMILL_RUN": run,
            "PREFECT__FLOW_RUN_ID": run,
        }
        if self.experiment:
            given |= {"DVC_EXP_NAME": self.experiment, "DVC_EXP_BASELINE_REV": self.baseline}
        store = given.get("MLFLOW_TRACKING_URI", "")
        if re.match(r"sqlite:///[^/]", store):  # a file in the workspace, wherever the stages are
            given["MLFLOW_TRACKING_URI"] = f"sqlite:///{self.root / store.removeprefix('sqlite:///')}"
        return given


def parameters(root: Path, profile: str | None, overrides: Sequence[str]) -> str:
    """The text of params.yaml with that profile, and with overrides as in `classifier.epochs=3`, which is in order.

    Raises `GptmillError` that names what is unknown or not allowed.
    """
    from ruamel.yaml import YAML

    if profile is not None:
        text = profiles.text(profile, root)
    else:
        source = root / paths.PARAMS
        params_file.load(source)  # what is wrong with it is not the overrides' fault
        text = source.read_text(encoding="utf-8")
    if not overrides:
        return text
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 10_000  # nothing else is written otherwise than it was
    yaml.indent(mapping=2, sequence=4, offset=2)
    values = yaml.load(text)
    for override in overrides:
        key, equals, value = override.partition("=")
        *sections, name = key.strip().split(".")
        section = values
        for part in sections:
            section = _within(section, part)
        name = renamed.key_in(section, name) if isinstance(section, Mapping) else name
        if not equals or not isinstance(section, Mapping) or name not in section or isinstance(section[name], Mapping):
            raise GptmillError(
                f"{override} overrides nothing: give a key of params.yaml and its value, as in base.epochs=3{_near(key, root)}"
            )
        safe_yaml.parse(value, f"{override}: the value")
        section[name] = yaml.load(value)  # as it is written: a list on one line stays on one
    written = StringIO()
    yaml.dump(values, written)
    with tempfile.TemporaryDirectory(prefix="gptmill-") as folder:
        path = Path(folder, paths.PARAMS)
        path.write_text(written.getvalue(), encoding="utf-8")
        try:
            params_file.load(path)
        except GptmillError as error:
            raise GptmillError(str(error).replace(str(path), f"params.yaml with {' '.join(overrides)}")) from None
    return written.getvalue()


def _within(section: Any, part: str) -> Any:
    """What stands in a section under that key, or in a list at that place; None when nothing does."""
    if isinstance(section, list) and part.isdecimal():
        return section[int(part)] if int(part) < len(section) else None
    return section.get(part) if isinstance(section, Mapping) else None


def _near(key: str, root: Path) -> str:
    from difflib import get_close_matches

    known = [known for known, _, _ in params_file.describe(params_file.load(root / paths.PARAMS))]
    close = [one for one in get_close_matches(key, known, n=1) if one != key]
    return f". Did you mean {close[0]}?" if close else ". `gptmill params show` lists them"


@contextmanager
def workspace(root: Path, processes: Processes, say: Callable[[str], None]) -> Iterator[Workspace]:
    """The workspace itself, when no other run is at work in it."""
    with _alone(root / LOCK, processes, say):
        yield Workspace(root, root)


@contextmanager
def copy(root: Path, text: str, label: str, processes: Processes, say: Callable[[str], None]) -> Iterator[Workspace]:
    """A working copy with `text` as params.yaml, made, or found as the same run left it. `label` stands in the experiment's name."""
    head = git(root, "rev-parse", "--verify", "--quiet", "HEAD", must=False).strip()
    if not head:
        raise GptmillError(
            "a run with a profile or overrides is saved as a DVC experiment, which needs a commit to start from: git commit"
        )
    _version_sources(root)
    changes = git(root, *PATCH, "HEAD")
    # What runs write themselves makes no other run of it: one that was stopped is found again whatever has run meanwhile.
    deciding = git(root, *PATCH, "HEAD", "--", ".", f":!{paths.PARAMS}", *run_tags.MADE)
    key = hashlib.sha256("\0".join([head, deciding, text]).encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"{re.sub(r'[^a-z0-9]+', '-', label.lower()).strip('-')[:40].strip('-') or 'run'}-{key}"
    folder = root / COPIES / f"gptmill-{key}"
    with _alone(root / COPIES / f"gptmill-{key}.lock", processes, say):
        if folder.exists():
            say(f"goes on in {folder.relative_to(root)}, where a run like this one stopped")
        else:
            say(f"works in a copy of its own, {folder.relative_to(root)}")
            _make(root, folder, changes, text)
        yield Workspace(folder, root, name, head)


def _version_sources(root: Path) -> None:
    """Have DVC note what has changed in data/sources since it was added: a copy is made from what DVC knows."""
    receipts = [path for path in sorted((root / paths.SOURCES).glob("*/*.dvc")) if path.with_suffix("").exists()]
    if receipts:
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "commit", "--quiet", "--force", *map(str, receipts)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GptmillError(f"DVC can't version what is in {paths.SOURCES}: {done.stderr.strip()}")


def _make(root: Path, folder: Path, changes: str, text: str) -> None:
    from dvc.exceptions import CheckoutError
    from dvc.repo import Repo

    beside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed while it made it
    # What is in the repository is borrowed, not copied. The copy has no remote: nothing is to be pushed from it by mistake.
    git(root, "clone", "--quiet", "--shared", "--no-tags", "--origin", "workspace", str(root), str(beside))
    git(beside, "checkout", "--quiet", "--detach", git(root, "rev-parse", "HEAD").strip())
    git(beside, "remote", "remove", "workspace")
    # An experiment is a commit, which has an author.
    for key, otherwise in {"user.name": "gptmill", "user.email": "gptmill@localhost"}.items():
        git(beside, "config", key, git(root, "config", key, must=False).strip() or otherwise)
    if changes:
        git(beside, "apply", "--index", "--whitespace=nowarn", "-", stdin=changes)
    if (root / "dvc.lock").exists() and not (beside / "dvc.lock").exists():
        shutil.copy(root / "dvc.lock", beside)  # not committed yet: what has run here before need not run again
    (beside / paths.PARAMS).write_text(text, encoding="utf-8")
    with Repo(str(root)) as repo:
        local, cache = repo.config.read("local"), repo.cache.local_cache_dir
    with Repo(str(beside)) as repo, repo.config.edit("local") as config:
        for section, values in local.items():
            config.setdefault(section, {}).update(values)
        config["cache"]["dir"] = cache
    # What the cache does not have is made by the stages.
    with Repo(str(beside), _wait_for_lock=True) as repo, suppress(CheckoutError):
        repo.checkout()
    beside.rename(folder)


def save(
    place: Workspace,
    stages: Sequence[str],
    processes: Processes,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Make the copy an experiment of the workspace. Raises `GptmillError` when DVC can't, `Stopped` when the run is stopped meanwhile."""
    said: list[str] = []
    # Naming the stages keeps DVC from committing the outputs of others, which may be older than what they depend on.
    command = [sys.executable, "-m", "dvc", "exp", "save", "--force", "--name", place.experiment, *stages]
    ended = processes.run(command, place.folder, environment, said.append)
    processes.check()
    if ended.code:
        raise GptmillError(f"dvc exp save ended with {ended.code}: {' '.join(said[-3:])}")
    ref = f"refs/exps/{place.baseline[:2]}/{place.baseline[2:]}/{place.experiment}"
    git(place.root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(place.folder), f"+{ref}:{ref}")
    say(
        f"saved as the experiment {place.experiment}: `dvc exp show` compares it, `dvc exp apply {place.experiment}` brings it here"
    )


def keep(place: Workspace) -> Path:
    """Keep what people look at when the copy is gone: pages, and what was decided about models. Where the pages are."""
    if not place.experiment:
        return place.root / paths.REPORTS
    if (decisions := place.folder / paths.PROMOTIONS).is_dir():
        shutil.copytree(decisions, place.root / paths.PROMOTIONS, dirs_exist_ok=True)
    pages = place.root / PAGES / place.experiment
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    for page in (paths.REPORT, paths.DATA_CARDS, paths.DATA_DOCS):
        if (there := place.folder / page).is_dir():
            shutil.copytree(there, pages / page.name)
        elif there.exists():
            shutil.copy(there, pages / page.name)
    return pages


def remove(place: Workspace) -> None:
    """Remove a copy whose experiment is saved."""
    if place.experiment:
        shutil.rmtree(place.folder)


@contextmanager
def _alone(lock: Path, processes: Processes, say: Callable[[str], None]) -> Iterator[None]:
    """While this is entered, no other run works there. Raises `Stopped` when the run is stopped while it waits."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    taken = FileLock(lock)
    try:
        taken.acquire(timeout=0)
    except Timeout:
        say("waits for another run of the flow, which is at work in the same place")
        while not taken.is_locked:
            processes.check()
            with suppress(Timeout):
                taken.acquire(timeout=1)
    try:
        yield
    finally:
        taken.release()


def git(folder: Path, *words: str, stdin: str = "", must: bool = True) -> str:
    """What git says in that folder, byte for byte: what is no UTF-8, and how lines end, is kept. Raises `GptmillError` when it fails.

    Unless it `must` not: then that is no error.
    """
    given = stdin.encode("utf-8", "surrogateescape")
    done = subprocess.run(["git", *words], cwd=folder, input=given, capture_output=True, check=False)
    if done.returncode and must:
        said = done.stderr.decode("utf-8", "replace").strip()
        advice = (
            ". Make this folder one: git init && git add --all && git commit" if "not a git repository" in said else ""
        )
        raise GptmillError(f"git {words[0]} ended with {done.returncode}: {said}{advice}")
    return done.stdout.decode("utf-8", "surrogateescape")
