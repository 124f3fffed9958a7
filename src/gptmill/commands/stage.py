"""`gptmill stage`: runs a stage, and passes in what it may not import: tracking, and callbacks of a training."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gptmill.core.terminal import escape_prints

if TYPE_CHECKING:
    from gptmill.config.schema import Params
    from gptmill.core.tracked_run import Run
    from gptmill.model.gpt import GPT
    from gptmill.runtime.device import Runtime
    from gptmill.text.tokenizer import Tokenizer

app = typer.Typer()


@app.command()
def stage(name: str, item: Annotated[str | None, typer.Argument(help="data set, for download")] = None) -> None:
    """Run one stage of dvc.yaml, as DVC does. `dvc repro STAGE` runs its upstream stages too."""
    run(name, item)


def run(name: str, item: str | None = None, params: "Params | None" = None) -> None:
    """Run a stage with `params` (default: params.yaml). Of several processes, only the main one is tracked."""
    from gptmill import config, stages, tracking
    from gptmill.commands import stage_process
    from gptmill.core.tracked_run import untracked
    from gptmill.runtime import torchrun

    params = params or config.load()
    track = partial(tracking.run, log_model=_log_model) if torchrun.is_main_process() else untracked
    with escape_prints(), stage_process.exclusive(name, item):
        stages.run(name, params, item, track=track, watch=_samples)


def _log_model(*args: Any) -> None:
    from gptmill.registry.log_model import log_to_run

    log_to_run(*args)


def _samples(
    model: "GPT", tokenizer: "Tokenizer", prompt: Sequence[int], runtime: "Runtime", run: "Run"
) -> list[Callable[[Any], None]]:
    from gptmill.inference.samples import Samples

    return [Samples(model, tokenizer, prompt, runtime, run.text)]
