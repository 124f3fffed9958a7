"""Compare-and-set of the champion: of two promotions at once, one wins and the other compares again.

MLflow sets an alias whatever it was before, and a `filelock` needs a file system that both machines share, not only an
MLflow server. What MLflow does refuse is an experiment's name that was used before, also by a deleted one. So a change
of the champion takes the next number as the experiment `gptmill-promotion/<model>/<number>`, has what to change in its
tags, and deletes the experiment when it is done.

A change whose process died is finished by the next promotion, after TIMEOUT. A process that sleeps for longer than that
sets the champion late; it then applies the last change again: until then the older champion is in use. `mlflow gc`
frees the names: don't run it during promotions. Aliases set by hand bypass all this, and are respected.
"""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gptmill.registry import versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

TIMEOUT = 10.0  # seconds for a promotion to set two aliases
_FROM, _TO, _PREVIOUS = "from", "to", "previous"  # versions; "" is none


def settled(client: "MlflowClient", name: str) -> int:
    """Wait for or finish the last change of the champion; returns its number. Call it before reading the champion."""
    deadline = time.monotonic() + TIMEOUT
    while (last := _last(client, name)) and last.lifecycle_stage == "active":
        if time.monotonic() > deadline:
            _finish(client, name, last)
            break
        time.sleep(0.1)
    return _number(last) if last else 0


def change(client: "MlflowClient", name: str, after: int, champion: str, to: str, previous: str) -> bool:
    """Make the version `to` the champion in place of `champion`, and `previous` the target of a rollback; "" is none.

    `after`: what `settled` returned. False, and no change, when the champion has changed since.
    """
    from mlflow.exceptions import MlflowException

    began = time.time()  # wall clock: it advances while the machine sleeps
    try:
        tags = {_FROM: champion, _TO: to, _PREVIOUS: previous}
        claim_id = client.create_experiment(f"{_prefix(name)}{after + 1:06d}", tags=tags)
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS":
            return False
        raise
    claim = client.get_experiment(claim_id)
    if _champion(client, name) not in (champion, to):  # set by hand
        client.set_experiment_tag(claim_id, _TO, "")
        client.delete_experiment(claim_id)
        return False
    _finish(client, name, claim)
    if time.time() - began > TIMEOUT and (last := _last(client, name)) and _number(last) > _number(claim):
        _apply(client, name, last)  # this process was taken for dead, and others went on
    return True


def _finish(client: "MlflowClient", name: str, claim: "Experiment") -> None:
    from mlflow.exceptions import MlflowException

    if client.get_experiment(claim.experiment_id).lifecycle_stage != "active":
        return  # another process has finished it
    if _champion(client, name) == claim.tags.get(_FROM, ""):
        _apply(client, name, claim)
    with suppress(MlflowException):  # two processes may finish the same change, with the same result
        client.delete_experiment(claim.experiment_id)


def _apply(client: "MlflowClient", name: str, claim: "Experiment") -> None:
    if not claim.tags.get(_TO):
        return
    if previous := claim.tags.get(_PREVIOUS, ""):
        versions.point(client, name, versions.PREVIOUS, previous)
    else:
        client.delete_registered_model_alias(name, versions.PREVIOUS)
    versions.point(client, name, versions.CHAMPION, claim.tags[_TO])


def _champion(client: "MlflowClient", name: str) -> str:
    champion = versions.at(client, name, versions.CHAMPION)
    return str(champion.version) if champion else ""


def _last(client: "MlflowClient", name: str) -> "Experiment | None":
    from mlflow.entities import ViewType

    pattern = f"name LIKE '{_prefix(name)}%'"
    found = client.search_experiments(ViewType.ALL, max_results=1, filter_string=pattern, order_by=["name DESC"])
    return found[0] if found else None


def _prefix(name: str) -> str:
    return f"{versions.EXPERIMENT}/{name}/"


def _number(claim: "Experiment") -> int:
    return int(claim.name.rpartition("/")[2])
