"""dvc.yaml as stages and edges, read by DVC itself: there is no second list of stages."""

from dataclasses import dataclass
from graphlib import TopologicalSorter


@dataclass(frozen=True)
class Stage:
    """One stage: its name, as `dvc repro NAME` takes it; what it does; and the stages whose outputs it reads."""

    name: str
    description: str
    upstream: tuple[str, ...]


def read(root: str = ".") -> list[Stage]:
    """The stages of the repository at `root`, each after those that it depends on."""
    from dvc.repo import Repo

    with Repo(root) as repo:
        graph = repo.index.graph  # an edge leads from a stage to one that it depends on
        stages = {
            stage.addressing: Stage(
                stage.addressing, stage.desc or "", tuple(sorted(needed.addressing for needed in graph.successors(stage)))
            )
            for stage in graph.nodes
        }
    # Sorted first, so that the same graph gives the same order each time.
    order = TopologicalSorter({name: stages[name].upstream for name in sorted(stages)}).static_order()
    return [stages[name] for name in order]
