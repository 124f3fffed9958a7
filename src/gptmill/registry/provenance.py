"""`gptmill lineage`: where a model came from, step by step, and where that can't be followed.

`lineage.json` in the model folder is read first; dvc.lock, git and MLflow add what they know. Each fact is compared
with what is on this machine.
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
    """A fact. `state`: same as here and now, changed since, unknown (can't be followed or compared), or "" for none."""

    text: str
    state: str = ""
    steps: list["Step"] = field(default_factory=list)

    def tree(self) -> Tree:
        mark, colour = _MARKS[self.state]
        # Names and origins are untrusted: no markup is read in them.
        line = Text(f"{mark} " if self.state else "", style=colour)
        line.append("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self.text), style="")
        tree = Tree(line)
        for step in self.steps:
            tree.add(step.tree())
        return tree

    def lines(self) -> Iterator["Step"]:
        yield self
        for step in self.steps:
            yield from step.lines()


def follow(address: str) -> Step:
    """The lineage of a model: a folder, a name, or a registered version by number or alias."""
    with ExitStack() as stack:
        folder, version = _located(address, stack)
        content, lineage, weights = files.read_snapshot(folder, _read)
        root = Step(address if version is None else f"{version.name} version {version.version}")
        root.steps.append(weights)
        missing = Step(f"no {Lineage.FILE}: what this model was made of is not recorded", "unknown")
        root.steps += _made(lineage) if lineage else [missing]
        root.steps += _receipt(content)
        root.steps += _mlflow(content, version)
        changed, unknown = (sum(step.state == state for step in root.lines()) for state in ("changed", "unknown"))
        summary = f"{changed} changed since, {unknown} can't be followed or compared here."
        root.steps.append(Step(summary if changed + unknown else "Everything is here as it was."))
        return root


def _located(address: str, stack: ExitStack) -> "tuple[Path, ModelVersion | None]":
    """The model's folder on this machine, and its version when it came from the registry."""
    if (folder := Path(address)).is_dir():
        return (versions.within(folder) if (folder / "MLmodel").exists() else folder), None
    if kind := MODEL_KINDS.get(address):
        if not kind.folder.exists():
            advice = f"Run `make run` or `dvc repro`, or name a version: {kind.registered}@champion"
            raise GptmillError(f"{kind.folder} not found. {advice}")
        return kind.folder, None
    match = _REGISTERED.match(address)
    if not match:
        raise GptmillError(
            f"{address} is not a model: name a folder (models/classifier), one of {', '.join(MODEL_KINDS)}, "
            "or a version in the registry (gptmill-classifier@champion, models:/gptmill-classifier/3)"
        )
    if not versions.exists():
        raise GptmillError("there is no registry here: set MLFLOW_TRACKING_URI, or make one with `gptmill promote`")
    with versions.opened() as client:
        version = versions.at(client, match["name"], match["alias"], match["version"])
        if version is None:
            raise GptmillError(
                f"the registry has no {address.removeprefix('models:/')}: `gptmill promote` makes versions"
            )
        return stack.enter_context(versions.folder_of(version)), version


def _read(folder: Path) -> tuple[str, Lineage | None, Step]:
    lineage = Lineage.read(folder)
    return dvc_hash(folder), lineage, _weights(folder, lineage)


def _weights(folder: Path, lineage: Lineage | None) -> Step:
    weights = folder / Lineage.WEIGHTS
    if not weights.exists():
        return Step(f"weights: {Lineage.WEIGHTS} is not in it", "unknown")
    text = f"weights: SHA-256 {(digest := files.digest(weights))}"
    if lineage is None:
        return Step(text, "unknown")
    if digest == lineage.weights:
        return Step(f"{text}, as they were trained", "same")
    return Step(f"{text}, but {lineage.weights} was trained: damaged, or changed by hand", "changed")


def _made(lineage: Lineage) -> Iterator[Step]:
    """Stage, params, data and sources; and those of the model that it was tuned from."""
    stage = Step(f"made by the stage {lineage.stage}")
    stage.steps = [
        Step("params", steps=list(_params(lineage))),
        Step("data", steps=[_file(path, md5) for path, md5 in lineage.data.items()]),
        Step("sources", steps=[_source(name, source) for name, source in lineage.sources.items()]),
    ]
    if base := lineage.base:
        text, state = f"tuned from the model of {base.stage}, weights SHA-256 {base.weights}", "unknown"
        if (weights := paths.BASE_MODEL / Lineage.WEIGHTS).exists():
            state = "same" if files.digest(weights) == base.weights else "changed"
        text += f"; {paths.BASE_MODEL} is another one now" if state == "changed" else ""
        stage.steps.append(Step(text, state, list(_made(base))))
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
    text = f"{path}: MD5 {md5}"
    if not Path(path).is_file():
        return Step(f"{text}; not here", "unknown")
    if files.digest(Path(path), "md5") == md5:
        return Step(text, "same")
    return Step(f"{text}; the data has changed since", "changed")


def _source(name: str, source: dict[str, Any]) -> Step:
    licence, origin, sha256 = (source.get(key) or "unknown" for key in ("licence", "origin", "sha256"))
    text = f"{name}: {source.get('name', 'no name')}, licence {licence}, from {origin}, SHA-256 {sha256}"
    try:
        now = files.read_json(paths.source_record(name))
        raw = paths.raw_file(name, getattr(config.load().data, name).file)
        digest = files.digest(raw)
    except (OSError, ValueError, AttributeError, GptmillError):
        return Step(f"{text}; not here", "unknown")
    if digest != source.get("sha256"):
        return Step(f"{text}; {raw} has changed since", "changed")
    if any(now.get(key) != source.get(key) for key in ("origin", "licence")):
        return Step(f"{text}; {paths.source_record(name)} has another origin or licence now", "changed")
    return Step(text, "same")


def _receipt(content: str) -> Iterator[Step]:
    """What dvc.lock knows of the folder's bytes: the code that made them, and the commit of that dvc.lock."""
    if not LOCK.exists():
        yield Step(f"{LOCK} not found: the code that made it can't be compared", "unknown")
        return
    for name, stage in dvc_lock.read().items():
        if any(md5 == content for md5, _ in stage.outs.values()):
            code = {path: md5 for path, md5 in stage.deps.items() if path.startswith("src/")}
            changed = [path for path, md5 in code.items() if not Path(path).exists() or dvc_hash(Path(path)) != md5]
            same = [] if changed else [Step(f"code: {len(code)} files and folders", "same")]
            steps = [Step(f"{path}: the code has changed since", "changed") for path in changed] + same
            yield Step(f"{LOCK} has it, as an output of {name}", "same", steps)
            break
    else:
        yield Step(f"{LOCK} has no such output: made from other params, data or code than the last run's", "unknown")
    commits = git("log", "--format=%H %s", f"-S{content}", "--", str(LOCK), default="").splitlines()
    if commits:
        yield Step(f"git: its receipt is in commit {commits[-1]}", "same")
    else:
        reason = f"{LOCK} was not committed with it, or there is no repository here"
        yield Step(f"git: no commit has its receipt ({reason})", "unknown")


def _mlflow(content: str, version: "ModelVersion | None") -> Iterator[Step]:
    if not versions.exists():
        yield Step("MLflow: there is no store here", "unknown")
        return
    try:
        with versions.opened() as client:
            run = _run(client, content, version)
            yield from _of_run(run) if run else [Step("run: MLflow knows none that made these bytes", "unknown")]
            for each in versions.registered(client, content):
                aliases = f" ({', '.join(sorted(each.aliases))})" if each.aliases else ""
                yield Step(f"registered as {each.name} version {each.version}{aliases}", "same")
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


def _of_run(run: "Run") -> Iterator[Step]:
    tags = run.data.tags
    yield Step(f"run: {run.info.run_name} {run.info.run_id}, {run.info.status}", "same")
    if "dvc.stage" not in tags:
        yield Step("that run logged the model and did not train it: MLflow does not know which one did", "unknown")
    commit = tags.get("mlflow.source.git.commit")
    if not commit:
        yield Step("commit: the run has none, it was outside of a repository", "unknown")
        return
    if git("cat-file", "-t", commit, default=""):
        yield Step(f"commit: {commit}", "same")
    else:
        yield Step(f"commit: {commit}, which is not in the repository here", "unknown")
    if tags.get("git.dirty") == "true":
        yield Step("there were uncommitted changes: that code can't be followed", "unknown")
