"""`gptmill lineage`: the way back from a model, step by step, and where it can't be followed.

What travels with a model (`lineage.json`) is read first; dvc.lock, git and MLflow add to it what they know. Each fact is compared with what
is here now, on whichever machine that is.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from rich.tree import Tree

from gptmill import config
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.git import git
from gptmill.model.lineage import Lineage
from gptmill.registry import versions
from gptmill.registry.model_kinds import MODEL_KINDS
from gptmill.tracking import dvc_lock
from gptmill.tracking.dvc_lock import LOCK, dvc_hash
from gptmill.tracking.run_tags import OUTPUT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_REGISTERED = re.compile(r"(?:models:/)?(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))$")
_MARKS = {"same": ("✓", "green"), "changed": ("≠", "red"), "unknown": ("?", "yellow"), "": (" ", "")}


@dataclass
class Step:
    """One thing on the way back. `state`: same as here and now, changed since, unknown (can't be followed or compared), or "" for none."""

    said: str
    state: str = ""
    steps: list["Step"] = field(default_factory=list)

    def tree(self) -> Tree:
        mark, colour = _MARKS[self.state]
        # Names and origins are anybody's words: they are shown as they are, and no markup is read in them.
        line = Text(f"{mark} " if self.state else "", style=colour)
        line.append("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self.said), style="")
        tree = Tree(line)
        for step in self.steps:
            tree.add(step.tree())
        return tree

    def lines(self) -> Iterator["Step"]:
        yield self
        for step in self.steps:
            yield from step.lines()


def trace(address: str) -> Tree:
    """The way back, to be printed. Raises `GptmillError` when there is no such model."""
    return follow(address).tree()


def follow(address: str) -> Step:
    """The way back from a model folder, a model's name, or a version in the registry by number or alias."""
    with ExitStack() as stack:
        folder, version = _place(address, stack)
        content, lineage, weights = files.read_snapshot(folder, _read)
        root = Step(address if version is None else f"{version.name} version {version.version}")
        root.steps.append(weights)
        if lineage:
            root.steps += _made(lineage)
        else:
            root.steps.append(
                Step(f"no {Lineage.FILE}: whoever made this folder did not write down of what", "unknown")
            )
        root.steps += _lock(content)
        root.steps += _mlflow(content, version)
        gone = sum(step.state == "changed" for step in root.lines())
        lost = sum(step.state == "unknown" for step in root.lines())
        said = (
            "Everything is here as it was."
            if not gone + lost
            else f"{gone} changed since, {lost} can't be followed or compared here."
        )
        root.steps.append(Step(said))
        return root


def _place(address: str, stack: ExitStack) -> "tuple[Path, ModelVersion | None]":
    """Where the model lies on this machine, and its version when it came from the registry."""
    if (folder := Path(address)).is_dir():
        return (versions.within(folder) if (folder / "MLmodel").exists() else folder), None
    if address in MODEL_KINDS:
        if not MODEL_KINDS[address].folder.exists():
            raise GptmillError(
                f"{MODEL_KINDS[address].folder} not found. Run `make run` or `dvc repro`, or name a version: gptmill-{address}@champion"
            )
        return MODEL_KINDS[address].folder, None
    match = _REGISTERED.match(address)
    if not match:
        raise GptmillError(
            f"{address} is no model: name a folder (models/classifier), one of {', '.join(MODEL_KINDS)}, or a version in the registry "
            "(gptmill-classifier@champion, models:/gptmill-classifier/3)"
        )
    if not versions.exists():
        raise GptmillError("there is no registry here: set MLFLOW_TRACKING_URI, or make one with `gptmill promote`")
    with versions.opened() as client:
        version = versions.named(client, match["name"], match["alias"], match["version"])
        return stack.enter_context(versions.folder_of(version)), version


def _read(folder: Path) -> tuple[str, Lineage | None, Step]:
    lineage = Lineage.read(folder)
    return dvc_hash(folder), lineage, _weights(folder, lineage)


def _weights(folder: Path, lineage: Lineage | None) -> Step:
    weights = folder / Lineage.WEIGHTS
    if not weights.exists():
        return Step(f"weights: {Lineage.WEIGHTS} is not in it", "unknown")
    found = files.digest(weights)
    if lineage is None:
        return Step(f"weights: SHA-256 {found}", "unknown")
    if found == lineage.weights:
        return Step(f"weights: SHA-256 {found}, as they were trained", "same")
    return Step(f"weights: SHA-256 {found}, but {lineage.weights} was trained: damaged, or changed by hand", "changed")


def _made(lineage: Lineage) -> Iterator[Step]:
    """Stage, params, data, sources, and the same of the model before."""
    stage = Step(f"made by the stage {lineage.stage}")
    stage.steps = [
        Step("params", steps=list(_params(lineage))),
        Step("data", steps=[_file(path, md5) for path, md5 in lineage.data.items()]),
    ]
    stage.steps.append(Step("sources", steps=[_source(name, source) for name, source in lineage.sources.items()]))
    if base := lineage.base:
        before = Step(f"began as the model of {base.stage}, weights SHA-256 {base.weights}")
        here = paths.BASE_MODEL / Lineage.WEIGHTS
        before.state = "unknown" if not here.exists() else "same" if files.digest(here) == base.weights else "changed"
        if before.state == "changed":
            before.said += f"; {paths.BASE_MODEL} is another one now"
        before.steps = list(_made(base))
        stage.steps.append(before)
    yield stage


def _params(lineage: Lineage) -> Iterator[Step]:
    try:
        now = {key: value for key, value, _ in config.describe(config.load())}
    except GptmillError:
        now = {}
    for key, value in lineage.params.items():
        if key not in now:
            yield Step(f"{key}: {value}", "unknown" if now else "")
        elif now[key] == value:
            yield Step(f"{key}: {value}", "same")
        else:
            yield Step(f"{key}: {value}, and {now[key]} in {paths.PARAMS} now", "changed")


def _file(path: str, md5: str) -> Step:
    if not Path(path).is_file():
        return Step(f"{path}: MD5 {md5}; not here", "unknown")
    if files.digest(Path(path), "md5") == md5:
        return Step(f"{path}: MD5 {md5}", "same")
    return Step(f"{path}: MD5 {md5}; the data has changed since", "changed")


def _source(name: str, source: dict[str, Any]) -> Step:
    licence, origin = source.get("licence") or "not said", source.get("origin") or "not said"
    said = f"{name}: {source.get('name', 'no name')}, licence {licence}, from {origin}, SHA-256 {source.get('sha256', 'not said')}"
    step = Step(said, "unknown")
    try:
        now = files.read_json(paths.source_record(name))
        raw = paths.raw_file(name, getattr(config.load().data, name).file)
        here = files.digest(raw)
    except (OSError, ValueError, AttributeError, GptmillError):
        step.said += "; not here"
        return step
    if here != source.get("sha256"):
        step.state, step.said = "changed", f"{step.said}; {raw} has changed since"
    elif any(now.get(key) != source.get(key) for key in ("origin", "licence")):
        step.state, step.said = (
            "changed",
            f"{step.said}; {paths.source_record(name)} says another origin or licence now",
        )
    else:
        step.state = "same"
    return step


def _lock(content: str) -> Iterator[Step]:
    """What dvc.lock knows of the folder's bytes: the code that made them, and the commit that has the receipt."""
    if not LOCK.exists():
        yield Step(f"{LOCK} is not here: the code that made it can't be compared", "unknown")
        return
    for name, stage in dvc_lock.read().items():
        if any(md5 == content for md5, _ in stage.outs.values()):
            step = Step(f"{LOCK} has it, as an output of {name}", "same")
            code = {path: md5 for path, md5 in stage.deps.items() if path.startswith("src/")}
            other = [path for path, md5 in code.items() if not Path(path).exists() or dvc_hash(Path(path)) != md5]
            step.steps += [Step(f"{path}: the code has changed since", "changed") for path in other]
            step.steps += [] if other else [Step(f"code: {len(code)} files and folders", "same")]
            yield step
            break
    else:
        yield Step(
            f"{LOCK} knows no output with these bytes: made from other params, data or code than the last run's",
            "unknown",
        )
    commits = git("log", "--format=%H %s", f"-S{content}", "--", str(LOCK), default="").splitlines()
    if commits:
        yield Step(f"git: its receipt is in commit {commits[-1]}", "same")
    else:
        yield Step(
            f"git: no commit has its receipt ({LOCK} was not committed with it, or there is no repository here)",
            "unknown",
        )


def _mlflow(content: str, version: "ModelVersion | None") -> Iterator[Step]:
    if not versions.exists():
        yield Step("MLflow: there is no store here", "unknown")
        return
    try:
        with versions.opened() as client:
            run = _run(client, content, version)
            yield from _told(run) if run else [Step("run: MLflow knows none that made these bytes", "unknown")]
            for place in versions.registered(client, content):
                aliases = f" ({', '.join(place.aliases)})" if place.aliases else ""
                yield Step(f"registered as {place.name} version {place.version}{aliases}", "same")
    except GptmillError as error:
        yield Step(f"run: {error}", "unknown")


def _run(client: "MlflowClient", content: str, version: "ModelVersion | None") -> "Run | None":
    """The run that trained it; of several with the same bytes, the first."""
    ids = versions.experiments(client)
    for kind in MODEL_KINDS.values() if ids else ():
        filter_string = f"tags.`{OUTPUT}{kind.folder}` = '{content}'"
        if found := client.search_runs(ids, filter_string, order_by=["start_time ASC"], max_results=1):
            return found[0]
    if version and version.run_id:
        return client.get_run(version.run_id)
    logged = versions.logged_model(client, content)
    return client.get_run(logged.source_run_id) if logged and logged.source_run_id else None


def _told(run: "Run") -> Iterator[Step]:
    tags = run.data.tags
    yield Step(f"run: {run.info.run_name} {run.info.run_id}, {run.info.status}", "same")
    if "dvc.stage" not in tags:
        yield Step("that run logged the model and did not train it: which one did, MLflow does not know", "unknown")
    commit = tags.get("mlflow.source.git.commit")
    if not commit:
        yield Step("commit: the run has none, it was outside of a repository", "unknown")
        return
    known = bool(git("cat-file", "-t", commit, default=""))
    yield Step(
        f"commit: {commit}" + ("" if known else ", which is not in the repository here"), "same" if known else "unknown"
    )
    if tags.get("git.dirty") == "true":
        yield Step("there were changes that were not committed: that code can't be followed", "unknown")
