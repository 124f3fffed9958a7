"""The stages of dvc.yaml and their dependencies, as DVC reads them."""

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
    name: str  # as in `dvc repro NAME`
    description: str
    upstream: tuple[str, ...]  # the stages whose outputs it reads
    minutes: float | None = None  # time limit
    network_unless: Mapping[str, Any] | None = None  # None: never uses the network
    up_to_date: bool = False

    def uses_network(self, params: Params) -> bool:
        """`network_unless` maps dotted keys to the values with which the stage does not use the network."""
        if self.network_unless is None:
            return False
        return any(_value(params, key) != value for key, value in self.network_unless.items())


class Busy(Exception):
    """Another `dvc` process holds DVC's lock, for which DVC itself does not wait."""


def read(root: str = ".", *, check: bool = False) -> list[Stage]:
    """The stages of the repository at `root` in topological order. With `check`, `up_to_date` is set from `dvc status`.

    A .dvc file (`gptmill data add`) is a stage too: it records the new hash of a changed file. Raises `Busy`, or
    `GptmillError` when DVC can't read the stages.
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
        graph = repo.index.graph  # edges lead from a stage to its dependencies
        changed = repo.status() if check else {stage.addressing: None for stage in graph.nodes}
        names = {
            stage: getattr(stage, "name", None) or Path(stage.path).relative_to(repo.root_dir).as_posix()
            for stage in graph.nodes
        }
        stages = {
            name: Stage(
                name,
                stage.desc or "",
                tuple(sorted(names[dependency] for dependency in graph.successors(stage))),
                (stage.meta or {}).get("minutes"),
                (stage.meta or {}).get("network_unless"),
                stage.addressing not in changed,
            )
            for stage, name in names.items()
        }
    # Sorted by name first, for a deterministic order.
    order = TopologicalSorter({name: stages[name].upstream for name in sorted(stages)}).static_order()
    return [stages[name] for name in order]


def select(stages: Iterable[Stage], targets: Collection[str]) -> list[Stage]:
    """The targets and their dependencies, in order; without targets, all. `download` stands for each `download@…`.

    Raises `GptmillError` when a target is not a stage.
    """
    stages = list(stages)
    known = {stage.name: stage for stage in stages}
    groups = {name.partition("@")[0] for name in known}
    if unknown := [target for target in targets if target not in known and target not in groups]:
        close = get_close_matches(unknown[0], [*known, *groups], n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise GptmillError(f"there is no stage {unknown[0]}; {hint}")
    todo = [name for name in known if name in targets or name.partition("@")[0] in targets] if targets else list(known)
    selected: set[str] = set()
    while todo:
        if (name := todo.pop()) not in selected:
            selected.add(name)
            todo += known[name].upstream
    return [stage for stage in stages if stage.name in selected]


def _value(params: Params, key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = getattr(value, part)
    return value
