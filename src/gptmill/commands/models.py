"""`gptmill promote`, `rollback`, `lineage` and `model show`."""

from typing import TYPE_CHECKING, Annotated

import typer

from gptmill.core import paths, terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()
model_app = typer.Typer(help="Show a model's size.", no_args_is_help=True)

REFUSED = 3  # exit code
WIDTH = 200  # columns when the output is not a terminal: hashes stay on one line for grep
COLOURS = {"promoted": "green", "not promoted": "yellow", "refused": "red"}


@app.command()
def promote(
    model: Annotated[list[str] | None, typer.Argument(help="base, classifier or instruct; default: all")] = None,
    dry_run: Annotated[bool, typer.Option(help="print the decisions, and leave the registry unchanged")] = False,
) -> None:
    """Evaluate the models of models/ against the champions; those that are significantly better become champions.

    Exit code 0 when every model was promoted or not promoted, 3 when one was refused, 1 when no decision was possible.
    """
    from rich.table import Table
    from rich.text import Text

    from gptmill import config
    from gptmill.registry.promote import promote

    paths.require_root()
    table = Table("model", "version", "champion", "would be" if dry_run else "is", "why", show_lines=True)
    refused = False
    try:
        for outcome in promote(config.load(), model or [], dry_run=dry_run):
            verdict = outcome.decision.verdict
            refused |= verdict == "refused"
            reasons = Text("\n".join(outcome.decision.reasons))
            champion = outcome.champion or "none yet"
            table.add_row(outcome.model, outcome.version, champion, Text(verdict, style=COLOURS[verdict]), reasons)
    finally:  # decisions made before an error stand
        if table.row_count:
            _print(table)
    if refused:
        raise typer.Exit(REFUSED)


@app.command()
def rollback(model: Annotated[str, typer.Argument(help="base, classifier or instruct")]) -> None:
    """Make the previous champion the champion again."""
    from gptmill.registry.promote import rollback

    paths.require_root()
    terminal.say(rollback(model))


FOLDER_OR_NAME = "a folder (models/classifier), a name (classifier), or a version: gptmill-classifier@champion, …/3"
FOLDER_OR_SIZE = "a model folder, or a published size: gpt2, gpt2-xl, gpt2-355M"


@app.command()
def lineage(model: Annotated[str, typer.Argument(help=FOLDER_OR_NAME)]) -> None:
    """Print a model's lineage: weights, stage, params, data, sources, licences, commit, run, and what is unknown."""
    from gptmill.registry.provenance import follow

    paths.require_root()
    _print(follow(model).tree())


@model_app.command()
def show(model: Annotated[str, typer.Argument(help=FOLDER_OR_SIZE)] = str(paths.BASE_MODEL)) -> None:
    """Print a model's dimensions, parameters and memory."""
    from gptmill.pretrained.convert import show_model

    terminal.say(show_model(model))


def _print(renderable: "RenderableType") -> None:
    console = terminal.console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(renderable)
