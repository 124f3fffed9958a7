"""`gptmill data`: add files, refresh sources, and measure the tokenizer's speed."""

from pathlib import Path
from typing import Annotated

import typer

from gptmill.core.terminal import say

app = typer.Typer(help="Add files, refresh sources, and measure the tokenizer's speed.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="SET", help="corpus, spam or instructions")],
    files: Annotated[list[Path], typer.Argument(help="your own files; several for the corpus only")],
    replace: Annotated[bool, typer.Option(help="overwrite files of the same name with different content")] = False,
) -> None:
    """Copy files to data/sources/SET, version them with DVC, and name them in params.yaml."""
    from gptmill.ingest import add_files

    for line in add_files.add(name, files, replace=replace):
        say(line)


@app.command()
def refresh(
    name: Annotated[str | None, typer.Argument(help="corpus, spam or instructions; default: all three")] = None,
    local: Annotated[bool, typer.Option(help="check local paths only, silently when nothing has changed")] = False,
) -> None:
    """Check whether sources have changed upstream, and pin new hashes, so that the next `dvc repro` downloads them."""
    from gptmill import config
    from gptmill.ingest import refresh

    params = config.load()
    for line in refresh.refresh_local(params, name) if local else refresh.refresh(params, name):
        say(line)


@app.command()
def bench(size: Annotated[str, typer.Option(help="of the generated corpus: 100MB, 1GB")] = "100MB") -> None:
    """Measure speed and memory of the tokenize stage on a corpus of that size, in a temporary folder."""
    from gptmill.commands import bench

    say(bench.run(bench.parse_size(size)))
