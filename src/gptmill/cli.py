"""`gptmill`: registers the verbs of `gptmill.commands`, and handles errors. `--help` imports nothing heavy."""

import typer

from gptmill.commands import data, doctor, generate, judge, models, params, report, runs, stage, summary, up, weights
from gptmill.core.terminal import exit_on_error

app = typer.Typer(
    help="From raw text to GPT models that a team can defend. `make run` (or `dvc repro`) runs the whole pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (stage, generate, summary, doctor, report, models, runs, up):
    app.add_typer(module.app)
for name, group in {
    "params": params.app, "data": data.app, "weights": weights.app, "model": models.model_app, "judge": judge.app,
}.items():  # fmt: skip
    app.add_typer(group, name=name)


def main() -> None:
    """The console script: a user's error is one message on stderr and an exit code, without a traceback."""
    with exit_on_error():
        app()
