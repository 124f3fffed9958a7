"""`gptmill weights`: import and export of weights."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gptmill.core.terminal import say

app = typer.Typer(help="Import weights from Hugging Face, OpenAI or the book, and export them.", no_args_is_help=True)

SOURCE = (
    "a folder or file with weights (safetensors, .pth, a TensorFlow checkpoint), or a name: gpt2, gpt2-xl, gpt2-355M"
)


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    to: Annotated[Path, typer.Option(help="the model folder to write")],
    n_heads: Annotated[
        int | None, typer.Option(min=1, help="attention heads, if the source does not name them, as the book's .pth")
    ] = None,
) -> None:
    """Convert foreign weights to a model folder, and print what was detected."""
    from gptmill.pretrained.convert import import_weights

    say(import_weights(source, to, n_heads))


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="a model folder")],
    to: Annotated[Path, typer.Option(help="the folder (huggingface) or the .pth (book) to write")],
    format: Annotated[Literal["huggingface", "book"], typer.Option(help="whose names and layout")] = "huggingface",
) -> None:
    """Write a model for Hugging Face's tools, or for the book's GPTModel."""
    from gptmill.core import files
    from gptmill.pretrained.convert import export_weights
    from gptmill.registry import model_card
    from gptmill.registry.model_kinds import MODEL_KINDS

    say(export_weights(model, to, format))
    trained_here = next((kind for kind in MODEL_KINDS.values() if kind.folder.resolve() == model.resolve()), None)
    if format == "huggingface" and trained_here:
        files.write_text(to / model_card.NAME, model_card.of_workspace(trained_here))
