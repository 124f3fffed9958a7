"""`gptmill sync`."""

import os
from typing import Annotated

import typer


def sync(
    failed: Annotated[bool, typer.Option(help="with GPTMILL_RUN set: the pipeline run that ends now has failed")] = False,
) -> None:
    """Send MLflow what it could not take when it was logged, and end pipeline runs that are over. Says what it sent and what is left.

    With GPTMILL_RUN set, that pipeline run is over now. Exit code 1 when something is left: run it again when the server is back.
    """
    from gptmill.tracking import pipelines, syncing

    if name := os.environ.get("GPTMILL_RUN"):
        pipelines.finish(name, failed=failed)
    done = syncing.sync()
    for line in done.sent:
        typer.echo(f"sent  {line}")
    for line in done.left:
        typer.echo(f"left  {line}", err=True)
    if done.at_work:
        typer.echo(f"{done.at_work} at work: a stage sends its own")
    if done.left:
        raise typer.Exit(1)
    if not done.sent:
        typer.echo("MLflow has everything.")
