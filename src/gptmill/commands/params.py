"""`gptmill params`: check, show, choose and complete params.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from gptmill.core import paths
from gptmill.core.terminal import say

app = typer.Typer(help="Check, show, choose and complete params.yaml.", no_args_is_help=True)


@app.command()
def check(path: Annotated[Path, typer.Argument()] = paths.PARAMS) -> None:
    """Report every invalid value and unknown key, sources that a run would delete, and an unusable mirror."""
    from gptmill import config
    from gptmill.config import memory
    from gptmill.ingest import download, refresh, sources

    values = config.load(path)
    memory.require_memory(values.model, values.tokenizer.vocab_size)
    refresh.check_local(values)
    if sources.needs_network(values):
        download.mirror()
    say(f"{path} is valid.")


@app.command()
def show(path: Annotated[Path, typer.Argument()] = paths.PARAMS) -> None:
    """Print every parameter with its description."""
    from gptmill import config
    from gptmill.core import addresses

    for key, value, description in config.describe(config.load(path)):
        say(addresses.redact(f"{key}: {value}").ljust(46) + f" # {description}")


@app.command()
def use(
    profile: Annotated[str, typer.Argument(help="a file of profiles/, without .yaml")],
    force: Annotated[bool, typer.Option(help="overwrite a params.yaml with your own changes")] = False,
) -> None:
    """Write params.yaml: the defaults, overlaid by a profile, with a description of each key."""
    from gptmill.config import profiles

    say(profiles.use(profile, force=force))


@app.command()
def complete() -> None:
    """Add the keys missing in params.yaml, with their defaults. Existing lines stay unchanged."""
    from gptmill.config import missing_keys

    for line in missing_keys.complete():
        say(line)
