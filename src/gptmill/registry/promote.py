"""`gptmill promote` and `rollback`: evaluation, decision, change of the champion, and the record of it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gptmill.config import flatten
from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.model.lineage import Lineage
from gptmill.registry import champion_lock, versions
from gptmill.registry.decision import Decision, Measured, decide
from gptmill.registry.evaluation import Ineligible, evaluate
from gptmill.registry.model_kinds import ModelKind, named
from gptmill.tracking import mlflow_client, run_tags
from gptmill.tracking.dvc_lock import LOCK, dvc_hash

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

ATTEMPTS = 5  # at a comparison, while other promotions change the champion
ROLLED_BACK = "promotion.rolled_back"


@dataclass(frozen=True)
class Outcome:
    """The decision about one challenger."""

    model: str
    decision: Decision
    version: str = ""  # of the challenger; "" in a dry run
    champion: str = ""  # the version that it was compared with; "" without one


def promote(params: Params, names: list[str], *, dry_run: bool = False) -> Iterator[Outcome]:
    """Compare each model of models/ with its champion, one after the other. A dry run registers and logs nothing.

    The last decision about each, a dry run's too, is saved for `gptmill report`. Raises `GptmillError` when no decision
    is possible: no model, no test data, no registry.
    """
    kinds = named(names)
    if missing := [kind for kind in kinds if not kind.folder.exists()]:
        raise GptmillError(f"{missing[0].folder} not found. Run `make run` or `dvc repro`")
    if not kinds:
        raise GptmillError("there is no model in models/. Run `make run` or `dvc repro`")
    for outcome in _outcomes(kinds, params, dry_run):
        decision = outcome.decision
        record = {"model": outcome.model, "decision": decision.verdict, "reasons": decision.reasons}
        record |= {"figures": decision.figures, "version": outcome.version, "champion": outcome.champion}
        files.write_json(paths.PROMOTIONS / f"{outcome.model}.json", record)
        yield outcome


def _outcomes(kinds: list[ModelKind], params: Params, dry_run: bool) -> Iterator[Outcome]:
    # A dry run makes no registry: to connect to one in this folder would.
    with nullcontext() if dry_run and not versions.exists() else versions.opened() as client:
        for kind in kinds:
            yield _try(client, kind, params) if dry_run else _promote(client, kind, params)


def rollback(name: str) -> str:
    """Make the previous version the champion again; returns a message. Raises `GptmillError` when there is none."""
    [kind] = named([name])
    name = kind.registered
    with versions.opened() as client:
        after = champion_lock.settled(client, name)
        champion, previous = (versions.at(client, name, alias) for alias in (versions.CHAMPION, versions.PREVIOUS))
        if champion is None or previous is None or champion.version == previous.version:
            state = f"its champion is version {champion.version}" if champion else "it has no champion"
            raise GptmillError(f"{name} has nothing to roll back to; {state}. `gptmill promote` makes the next one")
        if not champion_lock.change(client, name, after, str(champion.version), str(previous.version), ""):
            raise GptmillError(f"another promotion changed the champion of {name} just now: check it, then try again")
        versions.tag(client, champion, {ROLLED_BACK: "true"})
        return (
            f"{name}: version {previous.version} is the champion again. Version {champion.version} is not promoted "
            f"any more; to allow it again, delete its tag {ROLLED_BACK} in MLflow."
        )


def _promote(client: "MlflowClient", kind: ModelKind, params: Params) -> Outcome:
    content = dvc_hash(kind.folder)
    with _logged(client, kind, params) as run:
        version = versions.register(client, kind, content, run)
        measured = _measure(kind, params, content)
        for attempt in range(ATTEMPTS):
            after = champion_lock.settled(client, kind.registered)
            champion = versions.at(client, kind.registered, versions.CHAMPION)
            decision = _compare(kind, params, measured, version, champion)
            if attempt:
                decision = _with_notes(decision, ["compared again, with another that was promoted meanwhile"])
            if decision.verdict != "promoted":
                break
            before = str(champion.version) if champion else ""
            if champion_lock.change(client, kind.registered, after, before, str(version.version), before):
                challenger = versions.at(client, kind.registered, versions.CHALLENGER)
                if challenger and challenger.version == version.version:
                    client.delete_registered_model_alias(kind.registered, versions.CHALLENGER)
                break
        else:
            raise GptmillError(
                f"the champion of {kind.registered} changed {ATTEMPTS} times meanwhile: promote it again"
            )
        outcome = Outcome(kind.registered, decision, str(version.version), str(champion.version) if champion else "")
        _record(client, run, version, outcome)
    return outcome


def _try(client: "MlflowClient | None", kind: ModelKind, params: Params) -> Outcome:
    content = dvc_hash(kind.folder)
    champion = versions.at(client, kind.registered, versions.CHAMPION) if client else None
    version = versions.newest(client, kind.registered, content) if client else None
    decision = _compare(kind, params, _measure(kind, params, content), version, champion)
    return Outcome(kind.registered, decision, "", str(champion.version) if champion else "")


def _measure(kind: ModelKind, params: Params, content: str) -> Measured | Ineligible:
    """The challenger on the test data. Raises `GptmillError` when its folder has another content meanwhile."""
    result: Measured | Ineligible
    if reasons := _reasons_against(kind):
        result = Ineligible("; ".join(reasons))
    else:
        try:
            result = evaluate(kind, kind.folder, params)
        except Ineligible as error:
            result = error
    if not kind.folder.exists() or dvc_hash(kind.folder) != content:
        raise GptmillError(f"{kind.folder} was replaced while it was measured: promote it again")
    return result


def _reasons_against(kind: ModelKind) -> list[str]:
    """Why a model must not be used, whatever its scores: changed weights, or test data that it may have seen."""
    try:
        lineage = Lineage.read(kind.folder)
    except GptmillError as error:
        return [str(error)]
    if lineage is None:
        return [f"it has no {Lineage.FILE}: its training data is unknown, so it may have seen the test data"]
    weights = kind.folder / Lineage.WEIGHTS
    if not weights.exists():
        return [f"it has no {Lineage.WEIGHTS}"]
    if files.digest(weights) != lineage.weights:
        return [f"its weights are not those that were trained: {Lineage.WEIGHTS} is damaged, or was changed by hand"]
    reasons = [f"it was not trained on {path} as it is now: `dvc repro` first" for path in _changed_data(kind, lineage)]
    if kind.leakage:
        leaks = {"unknown": 1}
        if paths.VALIDATION.exists():
            leaks = files.read_json(paths.VALIDATION)[kind.leakage]["leakage"]
        if any(leaks.values()):
            counts = ", ".join(f"{match} {pairs}" for match, pairs in leaks.items())
            reasons.append(f"its test split overlaps its training split (leakage: {counts} in {paths.VALIDATION})")
    return reasons


def _changed_data(kind: ModelKind, lineage: Lineage) -> list[str]:
    """Files of the training data that are not now what they were when the model was trained."""
    places = kind.train_data
    paths_now = [path for place in places if place.exists() for path in files.list_files(place)]
    now = {str(path): files.digest(path, "md5") for path in paths_now}
    then = {path: md5 for path, md5 in lineage.data.items() if any(Path(path).is_relative_to(p) for p in places)}
    return sorted(path for path in now.keys() | then.keys() if now.get(path) != then.get(path))


def _decide(kind: ModelKind, params: Params, measured: Measured | Ineligible, champion: Measured | None) -> Decision:
    if isinstance(measured, Ineligible):
        return Decision("refused", [str(measured)])
    return decide(measured, champion, kind.measure, params.promotion, params.seed)


def _compare(
    kind: ModelKind,
    params: Params,
    measured: Measured | Ineligible,
    version: "ModelVersion | None",
    champion: "ModelVersion | None",
) -> Decision:
    """The decision between the challenger and a champion, which is measured on the same data."""
    if version and champion and version.version == champion.version:
        return Decision("not promoted", ["it is the champion"])
    if champion is None or isinstance(measured, Ineligible):
        return _decide(kind, params, measured, None)
    if version and version.tags.get(ROLLED_BACK) == "true":
        reason = f"version {version.version} was rolled back; delete its tag {ROLLED_BACK} to allow it again"
        return Decision("not promoted", [reason])
    with versions.folder_of(champion) as folder:
        try:
            theirs, notes = evaluate(kind, folder, params), _notes(kind, folder)
        except Ineligible as error:
            theirs, notes = None, [f"the champion can't be measured on today's test data: {error}"]
    return _with_notes(_decide(kind, params, measured, theirs), notes)


def _with_notes(decision: Decision, notes: list[str]) -> Decision:
    return replace(decision, reasons=decision.reasons + notes)


def _notes(kind: ModelKind, folder: Path) -> list[str]:
    """What makes a champion's scores doubtful."""
    try:
        lineage = Lineage.read(folder)
    except GptmillError:
        lineage = None
    if lineage is None:
        return ["the champion's training data is unknown: it may have seen some of the test data"]
    if _changed_data(kind, lineage):
        return ["the champion was trained on other data: it may have seen some of today's test data, and score higher"]
    return []


@contextmanager
def _logged(client: "MlflowClient", kind: ModelKind, params: Params) -> Iterator["Run"]:
    """A run of the experiment `gptmill-promotion` for one decision."""
    run = client.create_run(
        mlflow_client.experiment(client, versions.EXPERIMENT), run_name=kind.registered, tags=run_tags.tags("promote")
    )
    ended = "FAILED"
    try:
        for key, value in flatten({"seed": params.seed, "promotion": params.promotion}):
            client.log_param(run.info.run_id, key, value)
        yield run
        ended = "FINISHED"
    finally:
        client.set_terminated(run.info.run_id, ended)


def _record(client: "MlflowClient", run: "Run", version: "ModelVersion", outcome: Outcome) -> None:
    """Log the decision to the run, and tag the version with it."""
    decision, run_id = outcome.decision, run.info.run_id
    tags = {
        "promotion.decision": decision.verdict,
        "promotion.reason": "; ".join(decision.reasons),
        "promotion.champion": outcome.champion or "none",
    }
    figures = {_allowed(name.replace(" ", "_")): value for name, value in decision.figures.items()}
    for key, value in {**tags, "promotion.model": outcome.model, "promotion.version": outcome.version}.items():
        client.set_tag(run_id, key, value[: versions.LONGEST_TAG])
    for name, value in figures.items():
        client.log_metric(run_id, name, value)
    client.log_dict(run_id, {**tags, "figures": decision.figures}, "decision.json")
    if LOCK.exists():
        client.log_artifact(run_id, str(LOCK))  # for the lineage of this version, on any machine
    versions.tag(client, version, {**tags, "promotion.run": run_id})
    versions.tag(client, version, {f"promotion.{name}": f"{value:.4f}" for name, value in figures.items()})


def _allowed(name: str) -> str:
    """A name that MLflow accepts: labels may have any character."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)
