"""`gptmill promote` and `gptmill rollback`: the kind, the decision, the change in the registry, and the record of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gptmill.config import flatten
from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.model.lineage import Lineage
from gptmill.registry import lock, versions
from gptmill.registry.decision import Decision, Measured, decide
from gptmill.registry.evaluation import Ineligible, evaluate
from gptmill.registry.model_kinds import ModelKind, named
from gptmill.tracking import mlflow_client, run_tags
from gptmill.tracking.dvc_lock import LOCK, dvc_hash

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

ATTEMPTS = 5  # times that somebody else may be faster
ROLLED_BACK = "promotion.rolled_back"


@dataclass(frozen=True)
class Outcome:
    """What became of one challenger."""

    model: str
    decision: Decision
    version: str = ""  # of the challenger; "" when it was only tried
    champion: str = ""  # the version that it was compared with


def promote(params: Params, names: list[str], *, dry_run: bool = False) -> Iterator[Outcome]:
    """Each model of models/ as a challenger, one after the other. A dry run registers and logs nothing.

    The last decision about each, a dry run's too, is kept for `gptmill report` to show. Raises `GptmillError` when it can't be decided: no
    model, no test data, no registry.
    """
    chosen = named(names)
    if missing := [kind for kind in chosen if not kind.folder.exists()]:
        raise GptmillError(f"{missing[0].folder} is not here: `make run` (or `dvc repro`) makes it")
    if not chosen:
        raise GptmillError("there is no model in models/: `make run` (or `dvc repro`) makes them")
    for outcome in _outcomes(chosen, params, dry_run):
        _keep(outcome)
        yield outcome


def _outcomes(chosen: list[ModelKind], params: Params, dry_run: bool) -> Iterator[Outcome]:
    if dry_run and not versions.exists():
        for kind in chosen:
            yield Outcome(kind.registered, _judge(kind, params, _take(kind, params, dvc_hash(kind.folder)), None))
        return
    with versions.opened() as client:
        for kind in chosen:
            yield _try(client, kind, params) if dry_run else _promote(client, kind, params)


def _keep(outcome: Outcome) -> None:
    decision = outcome.decision
    told = {
        "model": outcome.model,
        "decision": decision.verdict,
        "reasons": decision.reasons,
        "figures": decision.figures,
    }
    files.write_json(
        paths.PROMOTIONS / f"{outcome.model}.json", told | {"version": outcome.version, "champion": outcome.champion}
    )


def rollback(name: str) -> str:
    """The version before takes the champion's place again; returns what to tell. Raises `GptmillError` when there is none."""
    [kind] = named([name])
    name = kind.registered
    with versions.opened() as client:
        after = lock.settled(client, name)
        champion, previous = (versions.at(client, name, alias) for alias in (versions.CHAMPION, versions.PREVIOUS))
        if champion is None or previous is None or champion.version == previous.version:
            stands = f"its champion is version {champion.version}" if champion else "it has no champion"
            raise GptmillError(f"{name} has nothing to roll back to; {stands}. `gptmill promote` makes the next one")
        if not lock.change(client, name, after, str(champion.version), str(previous.version), ""):
            raise GptmillError(f"somebody else changed the champion of {name} just now: look at it, then do it again")
        versions.tag(client, champion, {ROLLED_BACK: "true"})
        return (
            f"{name}: version {previous.version} is the champion again. Version {champion.version} is not promoted any more; "
            f"to let it try again, delete its tag {ROLLED_BACK} in MLflow."
        )


def _promote(client: "MlflowClient", kind: ModelKind, params: Params) -> Outcome:
    content = dvc_hash(kind.folder)
    with _logged(client, kind, params) as run:
        version = versions.register(client, kind, content, run)
        taken = _take(kind, params, content)
        for attempt in range(ATTEMPTS):
            after = lock.settled(client, kind.registered)
            champion = versions.at(client, kind.registered, versions.CHAMPION)
            decision = _beside(kind, params, taken, content, version, champion)
            if attempt:
                decision = replace(
                    decision, reasons=[*decision.reasons, "compared again, with another that was promoted meanwhile"]
                )
            if decision.verdict != "promoted":
                break
            before = str(champion.version) if champion else ""
            if lock.change(client, kind.registered, after, before, str(version.version), before):
                challenger = versions.at(client, kind.registered, versions.CHALLENGER)
                if challenger and challenger.version == version.version:
                    client.delete_registered_model_alias(kind.registered, versions.CHALLENGER)
                break
        else:
            raise GptmillError(
                f"{kind.registered}: the champion changed {ATTEMPTS} times while this one was compared: promote it again"
            )
        outcome = Outcome(kind.registered, decision, str(version.version), str(champion.version) if champion else "")
        _record(client, run, version, outcome)
    return outcome


def _try(client: "MlflowClient", kind: ModelKind, params: Params) -> Outcome:
    content = dvc_hash(kind.folder)
    champion = versions.at(client, kind.registered, versions.CHAMPION)
    known = versions.of_content(client, kind.registered, content)
    decision = _beside(kind, params, _take(kind, params, content), content, known, champion)
    return Outcome(kind.registered, decision, "", str(champion.version) if champion else "")


def _take(kind: ModelKind, params: Params, content: str) -> Measured | Ineligible:
    """What the challenger of that content does on the test data, or why it can't be measured.

    Raises `GptmillError` when the folder was replaced meanwhile.
    """
    taken: Measured | Ineligible
    if reasons := _not_sound(kind):
        taken = Ineligible("; ".join(reasons))
    else:
        try:
            taken = evaluate(kind, kind.folder, params)
        except Ineligible as unfit:
            taken = unfit
    if not kind.folder.exists() or dvc_hash(kind.folder) != content:
        raise GptmillError(f"{kind.folder} was replaced while it was measured: promote it again")
    return taken


def _not_sound(kind: ModelKind) -> list[str]:
    """What forbids to use the model, whatever it predicts: it is not the one that was trained, or it may know the tests."""
    try:
        lineage = Lineage.read(kind.folder)
    except GptmillError as error:
        return [str(error)]
    if lineage is None:
        return [f"it has no {Lineage.FILE}: nobody knows what it was trained on, so it may know the tests"]
    weights = kind.folder / Lineage.WEIGHTS
    if not weights.exists():
        return [f"it has no {Lineage.WEIGHTS}"]
    if files.digest(weights) != lineage.weights:
        return [f"its weights are not those that were trained: {Lineage.WEIGHTS} is damaged, or was changed by hand"]
    found = [f"it was not trained on {path} as it is now: `dvc repro` first" for path in _other(kind, lineage)]
    if kind.leakage:
        leaks = (
            files.read_json(paths.VALIDATION)[kind.leakage]["leakage"] if paths.VALIDATION.exists() else {"unknown": 1}
        )
        if any(leaks.values()):
            said = ", ".join(f"{kind} {pairs}" for kind, pairs in leaks.items())
            found.append(f"its test split is not apart from its training split (leakage: {said} in {paths.VALIDATION})")
    return found


def _other(kind: ModelKind, lineage: Lineage) -> list[str]:
    """Files of the training data that a model was trained on, or should have been, which are others now."""
    now = {
        str(path): files.digest(path, "md5")
        for place in kind.train_data
        for path in ([place] if place.is_file() else place.glob("*"))
    }
    then = {
        path: md5
        for path, md5 in lineage.data.items()
        if any(path == str(p) or path.startswith(f"{p}/") for p in kind.train_data)
    }
    return sorted(path for path in now.keys() | then.keys() if now.get(path) != then.get(path))


def _judge(kind: ModelKind, params: Params, taken: Measured | Ineligible, champion: Measured | None) -> Decision:
    if isinstance(taken, Ineligible):
        return Decision("refused", [str(taken)])
    return decide(taken, champion, kind.measure, params.promotion, params.seed)


def _beside(
    kind: ModelKind,
    params: Params,
    taken: Measured | Ineligible,
    content: str,
    version: "ModelVersion | None",
    champion: "ModelVersion | None",
) -> Decision:
    """The decision beside a champion, which takes the same kind."""
    if version and champion and version.version == champion.version:
        return Decision("not promoted", ["it is the champion"])
    if champion is None or isinstance(taken, Ineligible):
        return _judge(kind, params, taken, None)
    if version and version.tags.get(ROLLED_BACK) == "true":
        return Decision(
            "not promoted",
            [f"version {version.version} was rolled back; delete its tag {ROLLED_BACK} to let it try again"],
        )
    with versions.folder_of(champion) as folder:
        try:
            theirs, notes = evaluate(kind, folder, params), _notes(kind, folder)
        except Ineligible as unfit:
            decision = _judge(kind, params, taken, None)
            return replace(decision, reasons=[*decision.reasons, f"the champion can't take today's test: {unfit}"])
    decision = _judge(kind, params, taken, theirs)
    return replace(decision, reasons=decision.reasons + notes)


def _notes(kind: ModelKind, folder: Path) -> list[str]:
    """What is to be known of the champion when scores are compared."""
    try:
        lineage = Lineage.read(folder)
    except GptmillError:
        lineage = None
    if lineage is None:
        return ["nobody knows what the champion was trained on: it may know some of the tests"]
    if _other(kind, lineage):
        return [
            "the champion was trained on other data than there is now: it may know some of today's tests, and seem better for it"
        ]
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
    """The decision, where people look for it: on the run, and on the version."""
    decision, run_id = outcome.decision, run.info.run_id
    reason = "; ".join(decision.reasons)
    tags = {
        "promotion.decision": decision.verdict,
        "promotion.reason": reason,
        "promotion.champion": outcome.champion or "none",
    }
    figures = {name.replace(" ", "_"): value for name, value in decision.figures.items()}
    for key, value in {**tags, "promotion.model": outcome.model, "promotion.version": outcome.version}.items():
        client.set_tag(run_id, key, value[: versions.LONGEST_TAG])
    for name, value in figures.items():
        client.log_metric(run_id, _allowed(name), value)
    client.log_dict(run_id, {**tags, "figures": decision.figures}, "decision.json")
    if LOCK.exists():
        client.log_artifact(run_id, str(LOCK))  # what the way back from this version needs, wherever it is asked for
    versions.tag(client, version, {**tags, "promotion.run": run_id})
    versions.tag(client, version, {f"promotion.{_allowed(name)}": f"{value:.4f}" for name, value in figures.items()})


def _allowed(name: str) -> str:
    """A name as MLflow takes it: labels may have any character."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)
