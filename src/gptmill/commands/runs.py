"""`gptmill sync`."""

import os
from typing import Annotated

import typer

from gptmill.core import paths
from gptmill.core.terminal import say


def sync(
    failed: Annotated[
        bool, typer.Option(help="with GPTMILL_RUN set: the pipeline run that ends now has failed")
    ] = False,
) -> None:
    """Send MLflow what it could not take when it was logged, and end pipeline runs that are over. Says what it sent and what is left.

    With GPTMILL_RUN set, that pipeline run is over now. Exit code 1 when something is left: run it again when the server is back.
    """
    from gptmill.tracking import parent_runs, sync

    paths.require_root()
    if name := os.environ.get("GPTMILL_RUN"):
        parent_runs.finish(name, failed=failed)
    done = sync.sync()
    for line in done.sent:
        say(f"sent  {line}")
    for line in done.left:
        say(f"left  {line}", err=True)
    if done.at_work:
        say(f"{done.at_work} at work: a stage sends its own")
    if done.left:
        raise typer.Exit(1)
    if not done.sent:
        say("MLflow has everything.")
