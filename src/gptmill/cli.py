"""`gptmill`: a verb for each thing that a person does. What a verb needs is imported when it runs, so that `--help` is instant."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from gptmill.commands import data, judge, report
from gptmill.commands import models as models_commands
from gptmill.commands import runs as tracking_commands
from gptmill.commands.up import up
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.core.terminal import errors_shown, say

app = typer.Typer(
    help="From raw text to GPT models that a team can defend. `make run` (or `dvc repro`) runs the whole pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
params_app = typer.Typer(help="Check, show and choose what is in params.yaml.", no_args_is_help=True)
app.add_typer(params_app, name="params")
weights_app = typer.Typer(help="Weights in from Hugging Face, OpenAI or the book, and out again.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")
app.add_typer(data.app, name="data")
app.command("sync")(tracking_commands.sync)
for verb in (models_commands.promote, models_commands.rollback, models_commands.lineage):
    app.command()(verb)
model_app = typer.Typer(help="What a model is.", no_args_is_help=True)
app.add_typer(model_app, name="model")
app.add_typer(judge.app, name="judge")
app.command("report")(report.report)
app.command("up")(up)


def main() -> None:
    """The console script: an error that a person can put right is one message on stderr and exit code 1, without a traceback."""
    with errors_shown():
        app()


@app.command()
def stage(name: str, item: Annotated[str | None, typer.Argument(help="which data set, for download")] = None) -> None:
    """Run one stage of dvc.yaml here and now. DVC calls this; `dvc repro STAGE` also runs what the stage depends on."""
    from gptmill.commands import stage as stage_command

    stage_command.run(name, item)


@params_app.command("check")
def params_check(path: Annotated[Path, typer.Argument()] = paths.PARAMS) -> None:
    """Stop with every bad value and unknown key, a source that a run would remove, and a mirror that can't be used."""
    from gptmill import config
    from gptmill.config import memory
    from gptmill.ingest import download, refresh, sources

    values = config.load(path)
    memory.demand_model(values.model, values.tokenizer.vocab_size)
    refresh.check_local(values)
    if sources.are_fetched(values):
        download.mirror()
    say(f"{path} is in order.")


@params_app.command("show")
def params_show(path: Annotated[Path, typer.Argument()] = paths.PARAMS) -> None:
    """Print every parameter with what it means."""
    from gptmill import config
    from gptmill.core import addresses

    for key, value, description in config.describe(config.load(path)):
        say(addresses.without_secrets(f"{key}: {value}").ljust(46) + f" # {description}")


@params_app.command("use")
def params_use(
    profile: Annotated[str, typer.Argument(help="the name of a file in profiles/, without .yaml")],
    force: Annotated[bool, typer.Option(help="replace a params.yaml that has changes of your own")] = False,
) -> None:
    """Write params.yaml: the defaults with a profile laid over them, and what each key means."""
    from gptmill.config import profiles

    say(profiles.use(profile, force=force))


@params_app.command("complete")
def params_complete() -> None:
    """Add the keys that params.yaml lacks, with their defaults. What it says stays as it is."""
    from gptmill.config import completing

    for line in completing.complete():
        say(line)


@weights_app.command("import")
def weights_import(
    source: Annotated[
        str,
        typer.Argument(
            help="a folder or file with weights (safetensors, .pth, a TensorFlow checkpoint), or a name: gpt2, gpt2-xl, gpt2-355M"
        ),
    ],
    to: Annotated[Path, typer.Option(help="the model folder to make")],
    n_heads: Annotated[
        int | None, typer.Option(min=1, help="attention heads, where the source does not say, as the book's .pth")
    ] = None,
) -> None:
    """Make a model folder of weights from elsewhere, and say what was found."""
    from gptmill.pretrained.convert import import_weights

    say(import_weights(source, to, n_heads))


@weights_app.command("export")
def weights_export(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    to: Annotated[Path, typer.Option(help="the folder (huggingface) or the .pth (book) to make")],
    format: Annotated[Literal["huggingface", "book"], typer.Option(help="whose names and layout")] = "huggingface",
) -> None:
    """Write a model for Hugging Face's tools, or for the book's GPTModel."""
    from gptmill.pretrained.convert import export_weights
    from gptmill.registry import model_card
    from gptmill.registry.evaluation import TRIALS

    say(export_weights(model, to, format))
    trained_here = next((trial for trial in TRIALS.values() if trial.folder.resolve() == model.resolve()), None)
    if format == "huggingface" and trained_here:
        files.write_text(to / model_card.NAME, trained_here.card())


@model_app.command("show")
def model_show(
    model: Annotated[str, typer.Argument(help="a model folder, or a published size: gpt2, gpt2-xl, gpt2-355M")] = str(
        paths.BASE_MODEL
    ),
) -> None:
    """Print a model's sizes, and the memory that it takes."""
    from gptmill.pretrained.convert import show_model

    say(show_model(model))


@app.command()
def generate(
    prompt: str,
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0: always the likeliest token")] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="sample among the k likeliest tokens; 0: among all")] = 50,
    top_p: Annotated[
        float, typer.Option(max=1, help="sample among the likeliest tokens that together have this probability")
    ] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="above 1: say less of what was said before")] = 1.0,
    min_new_tokens: Annotated[int, typer.Option(min=0, help="no end of text before")] = 0,
    stop: Annotated[list[str] | None, typer.Option(help="a text to stop before; may be given more than once")] = None,
    seed: int = 0,
    model: Annotated[Path, typer.Option(help="a model folder")] = paths.BASE_MODEL,
) -> None:
    """Continue PROMPT with the base model, up to the end of the text."""
    from gptmill.inference.generation import SamplingParams
    from gptmill.inference.models import TextGenerator

    try:  # before the model is loaded
        decoding = SamplingParams(
            max_new_tokens, temperature, top_k, top_p, repetition_penalty, min_new_tokens, seed=seed
        )
    except ValueError as error:
        raise GptmillError(str(error)) from None
    generator = TextGenerator(model)
    decoding = replace(decoding, stop=generator.tokenizer.end_of_text, vocab_size=generator.tokenizer.vocab_size)
    try:
        for piece in generator.stream(prompt, decoding, stop or ()):
            say(piece, nl=False)
    except ValueError as error:
        raise GptmillError(str(error)) from None
    say()


@app.command()
def ask(
    instruction: str,
    input: Annotated[str, typer.Argument(help="what the instruction is about, if it needs a text")] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 100,
    model: Annotated[Path, typer.Option(help="a model folder")] = paths.INSTRUCT_MODEL,
) -> None:
    """Have the instruct model follow INSTRUCTION."""
    from gptmill.config import memory
    from gptmill.inference.models import Assistant

    if problem := memory.new_tokens_problem(max_new_tokens):
        raise GptmillError(problem)
    say(Assistant(model).answer(instruction, input, max_new_tokens))


@app.command()
def classify(text: str, model: Annotated[Path, typer.Option(help="a model folder")] = paths.CLASSIFIER_MODEL) -> None:
    """Tell the class of TEXT, and how sure the classifier is."""
    from gptmill.inference.models import TextClassifier

    [(label, probability)] = TextClassifier(model).classify([text])
    say(f"{label} ({probability:.1%})")


@app.command()
def summary() -> None:
    """The numbers of the last run, where its report is, and what to do next."""
    from gptmill.commands.summary import show

    paths.require_root()
    show()


@app.command()
def doctor() -> None:
    """What is installed, where data, models and servers are, and what is wrong."""
    from gptmill.commands.doctor import examine

    paths.require_root()
    sys.exit(0 if examine() else 1)
