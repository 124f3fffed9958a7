"""`gptmill promote`, `rollback` and `lineage`: which model is in use, and where it came from."""

from typing import TYPE_CHECKING, Annotated

import typer

from gptmill.core import paths, terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

REFUSED = 3  # exit code
WIDE = 200  # columns, where no terminal says how many there are: hashes stay whole for whoever searches the output


def promote(
    model: Annotated[
        list[str] | None, typer.Argument(help="base, classifier or instruct; without it, all that are in models/")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="say what would be decided, and change nothing in the registry")
    ] = False,
) -> None:
    """Measure the models of models/ beside the champions; those that are surely better become champions.

    Exit code 0 when each was promoted or kept as it was, 3 when one was refused, 1 when it could not be decided.
    """
    from rich.table import Table
    from rich.text import Text

    from gptmill import config
    from gptmill.registry.promote import promote

    paths.require_root()
    colours = {"promoted": "green", "kept": "yellow", "refused": "red"}
    table = Table("model", "version", "champion", "would be" if dry_run else "is", "why", show_lines=True)
    refused = False
    try:
        for outcome in promote(config.load(), model or [], dry_run=dry_run):
            verdict = outcome.decision.verdict
            refused |= verdict == "refused"
            table.add_row(
                outcome.model,
                outcome.version,
                outcome.champion or "none yet",
                Text(verdict, style=colours[verdict]),
                Text("\n".join(outcome.decision.reasons)),
            )
    finally:  # what was decided before something went wrong stands
        if table.row_count:
            _print(table)
    if refused:
        raise typer.Exit(REFUSED)


def rollback(model: Annotated[str, typer.Argument(help="base, classifier or instruct")]) -> None:
    """Make the champion before this one the champion again."""
    from gptmill.registry.promote import rollback

    paths.require_root()
    terminal.say(rollback(model))


def lineage(
    model: Annotated[
        str,
        typer.Argument(
            help="a folder (models/classifier), a name (classifier), or of the registry: gptmill-classifier@champion, …/3"
        ),
    ],
) -> None:
    """Print the way back from a model: its weights, stage, params, data, sources and licences, commit and run; and where it ends."""
    from gptmill.registry.provenance import trace

    paths.require_root()
    _print(trace(model))


def _print(what: "RenderableType") -> None:
    console = terminal.console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(what)
