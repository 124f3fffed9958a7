"""Two promotions at once: only one can follow a champion.

MLflow has no compare-and-set: whoever sets an alias last wins. What it does have is names that can be taken once: an experiment's. So
whoever wants to change the champion takes the next number, as the experiment `gptmill-promotion/<model>/<number>`; the store refuses the
same number to everybody else, on this machine and on others, and they look at the new champion and compare again. The experiment's tags
say what is to be done; when it is done the experiment is deleted, which hides it and keeps its name taken.

A promotion that dies between the two is finished by the next one, after PATIENCE. What is left: one that sleeps between looking at the
champion and setting it, for longer than that, sets it late; it then looks whether others were there meanwhile, and puts theirs back. For
that moment the older one is in use. `mlflow gc` forgets the numbers: not while promotions run. Whoever moves aliases by hand goes past
all this, and is believed.
"""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gptmill.registry import versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PATIENCE = 10.0  # seconds that a promotion has to set two aliases
_FROM, _TO, _PREVIOUS = "from", "to", "previous"  # versions; "" is none


def settled(client: "MlflowClient", name: str) -> int:
    """The number of the last change of the champion, which is done then. Read it before the champion that is compared with."""
    deadline = time.monotonic() + PATIENCE
    while (last := _last(client, name)) and last.lifecycle_stage == "active":
        if time.monotonic() > deadline:
            _finish(client, name, last)
            break
        time.sleep(0.1)
    return _number(last) if last else 0


def change(client: "MlflowClient", name: str, after: int, champion: str, to: str, previous: str) -> bool:
    """Make `to` the champion in place of `champion`, with `previous` as what a roll-back goes to; "" is none.

    `after`: what `settled` said before. False, and nothing is changed, when the champion has changed since.
    """
    from mlflow.exceptions import MlflowException

    begun = time.time()  # a wall clock: it goes on while the machine sleeps
    try:
        tags = {_FROM: champion, _TO: to, _PREVIOUS: previous}
        number = client.create_experiment(f"{_prefix(name)}{after + 1:06d}", tags=tags)
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS":
            return False
        raise
    claim = client.get_experiment(number)
    if _champion(client, name) not in (champion, to):  # moved by hand
        client.set_experiment_tag(number, _TO, "")
        client.delete_experiment(number)
        return False
    _finish(client, name, claim)
    if time.time() - begun > PATIENCE and (last := _last(client, name)) and _number(last) > _number(claim):
        _apply(client, name, last)  # others took us for dead and went on
    return True


def _finish(client: "MlflowClient", name: str, claim: "Experiment") -> None:
    from mlflow.exceptions import MlflowException

    if client.get_experiment(claim.experiment_id).lifecycle_stage != "active":
        return  # somebody has finished it for us
    if _champion(client, name) == claim.tags.get(_FROM, ""):
        _apply(client, name, claim)
    with suppress(MlflowException):  # two may finish the same, to the same end
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
    found = versions.at(client, name, versions.CHAMPION)
    return str(found.version) if found else ""


def _last(client: "MlflowClient", name: str) -> "Experiment | None":
    from mlflow.entities import ViewType

    found = client.search_experiments(
        ViewType.ALL, max_results=1, filter_string=f"name LIKE '{_prefix(name)}%'", order_by=["name DESC"]
    )
    return found[0] if found else None


def _prefix(name: str) -> str:
    return f"{versions.EXPERIMENT}/{name}/"


def _number(claim: "Experiment") -> int:
    return int(claim.name.rpartition("/")[2])
