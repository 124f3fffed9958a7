"""`gptmill sync`: uploads tracked runs to MLflow."""

import os
from typing import Annotated

import typer

from gptmill.core import paths
from gptmill.core.terminal import say

app = typer.Typer()


@app.command()
def sync(
    failed: Annotated[bool, typer.Option(help="the pipeline run of GPTMILL_RUN has failed")] = False,
) -> None:
    """Upload the outbox to MLflow, and end finished pipeline runs. Prints what was sent and what is left.

    With GPTMILL_RUN set, that pipeline run is finished. Exit code 1 when something is left: retry later.
    """
    from gptmill.registry.log_model import log_to_run
    from gptmill.tracking import parent_runs, sync

    paths.require_root()
    if name := os.environ.get("GPTMILL_RUN"):
        parent_runs.finish(name, failed=failed)
    result = sync.sync(log_to_run)
    for line in result.sent:
        say(f"sent  {line}")
    for line in result.left:
        say(f"left  {line}", err=True)
    if result.at_work:
        say(f"{result.at_work} running: a running stage uploads its own events")
    if result.left:
        raise typer.Exit(1)
    if not result.sent:
        say("MLflow has everything.")
