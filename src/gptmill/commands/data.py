"""`gptmill data`: what people do with their data."""

from pathlib import Path
from typing import Annotated

import typer

from gptmill.core.terminal import say

app = typer.Typer(help="Look after the data.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="SET", help="corpus, spam or instructions")],
    files: Annotated[list[Path], typer.Argument(help="files of your own; only the corpus may be made of many")],
    replace: Annotated[bool, typer.Option(help="replace files of the same names that have other bytes")] = False,
) -> None:
    """Copy files to data/sources/SET, have DVC version them, and name them in params.yaml."""
    from gptmill.ingest import add_files

    for line in add_files.add(name, files, replace=replace):
        say(line)


@app.command()
def refresh(
    name: Annotated[str | None, typer.Argument(help="corpus, spam or instructions; without it, all three")] = None,
    local: Annotated[
        bool, typer.Option(help="look at paths alone, ask no server, and be silent when nothing has changed")
    ] = False,
) -> None:
    """Ask where the data came from whether it has changed; pin what is new, so that the next `dvc repro` takes it."""
    from gptmill import config
    from gptmill.ingest import refresh as refreshing

    values = config.load()
    for line in refreshing.refresh_local(values, name) if local else refreshing.refresh(values, name):
        say(line)


@app.command()
def bench(size: Annotated[str, typer.Option(help="of the corpus that is made for it: 100MB, 1GB")] = "100MB") -> None:
    """Measure how fast a corpus of that size is tokenized, and in how much memory. Everything is made in a temporary folder."""
    from gptmill.commands import bench as benchmark

    say(benchmark.run(benchmark.parse_size(size)))
