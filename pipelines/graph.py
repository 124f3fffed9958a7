"""dvc.yaml as stages and edges, read by DVC itself: there is no second list of stages, nor of what is known about them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from gptmill.config.schema import Params
from gptmill.core.errors import GptmillError


@dataclass(frozen=True)
class Stage:
    """One stage: its name, as `dvc repro NAME` takes it; what it does; and the stages whose outputs it reads."""

    name: str
    description: str
    upstream: tuple[str, ...]
    minutes: float | None = None  # it is ended after as many; None: however long it takes
    network_unless: Mapping[str, Any] | None = None  # None: it never asks the network
    up_to_date: bool = False  # when somebody asked

    def asks_the_network(self, params: Params) -> bool:
        """Whether it does with these parameters: `network_unless` has dotted keys, and the values with which it does not."""
        if self.network_unless is None:
            return False
        return any(_value(params, key) != value for key, value in self.network_unless.items())


class Busy(Exception):
    """Another `dvc` is at work on the same files: one that somebody started by hand. DVC itself does not wait for it."""


def read(root: str = ".", *, check: bool = False) -> list[Stage]:
    """The stages of the repository at `root`, each after those that it depends on. With `check`, DVC is asked which are up to date.

    What users have put under DVC (`gptmill data add`) is a stage too, named by its .dvc: it notes the new hash of a file that has changed.
    Raises `Busy` when it can't tell now, `GptmillError` when it can't read them.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.scm import SCMError

    try:
        return _read(root, check)
    except LockError as error:
        raise Busy(str(error)) from error
    except SCMError as error:
        raise GptmillError(
            f"{error}. Make it one (git init), or run without git: dvc config --local core.no_scm true"
        ) from None
    except DvcException as error:
        raise GptmillError(f"DVC can't read the stages: {error}") from None


def _read(root: str, check: bool) -> list[Stage]:
    from dvc.repo import Repo

    with Repo(root, _wait_for_lock=True) as repo:
        graph = repo.index.graph  # an edge leads from a stage to one that it depends on
        changed = repo.status() if check else {stage.addressing: None for stage in graph.nodes}
        names = {
            stage: getattr(stage, "name", None) or Path(stage.path).relative_to(repo.root_dir).as_posix()
            for stage in graph.nodes
        }
        stages = {
            name: Stage(
                name,
                stage.desc or "",
                tuple(sorted(names[needed] for needed in graph.successors(stage))),
                (stage.meta or {}).get("minutes"),
                (stage.meta or {}).get("network_unless"),
                stage.addressing not in changed,
            )
            for stage, name in names.items()
        }
    # Sorted first, so that the same graph gives the same order each time.
    order = TopologicalSorter({name: stages[name].upstream for name in sorted(stages)}).static_order()
    return [stages[name] for name in order]


def needed(stages: Iterable[Stage], targets: Collection[str]) -> list[Stage]:
    """The targets and all that they depend on, in order; without targets, all. `download` stands for each `download@…`.

    Raises `GptmillError` when a target is no stage.
    """
    stages = list(stages)
    known = {stage.name: stage for stage in stages}
    groups = {name.partition("@")[0] for name in known}
    if unknown := [target for target in targets if target not in known and target not in groups]:
        close = get_close_matches(unknown[0], [*known, *groups], n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise GptmillError(f"there is no stage {unknown[0]}; {hint}")
    todo = [name for name in known if name in targets or name.partition("@")[0] in targets] if targets else list(known)
    wanted: set[str] = set()
    while todo:
        if (name := todo.pop()) not in wanted:
            wanted.add(name)
            todo += known[name].upstream
    return [stage for stage in stages if stage.name in wanted]


def _value(params: Params, key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = getattr(value, part)
    return value
