"""`gptmill generate`, `ask` and `classify`: inference with a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.core.terminal import say

app = typer.Typer()

Model = Annotated[Path, typer.Option(help="a model folder")]
NewTokens = Annotated[int, typer.Option(min=1)]


@app.command()
def generate(
    prompt: str,
    max_new_tokens: NewTokens = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0: greedy decoding")] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="sample among the k most probable tokens; 0: among all")] = 50,
    top_p: Annotated[
        float, typer.Option(max=1, help="sample among the most probable tokens that together have this probability")
    ] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="above 1: repeat earlier tokens less")] = 1.0,
    min_new_tokens: Annotated[int, typer.Option(min=0, help="no end of text before")] = 0,
    stop: Annotated[list[str] | None, typer.Option(help="a stop string; repeatable")] = None,
    seed: int = 0,
    model: Model = paths.BASE_MODEL,
) -> None:
    """Continue PROMPT with the base model, up to the end-of-text token."""
    from gptmill.inference.models import TextGenerator
    from gptmill.inference.sampling import SamplingParams

    try:  # before the model is loaded
        sampling = SamplingParams(
            max_new_tokens, temperature, top_k, top_p, repetition_penalty, min_new_tokens, seed=seed
        )
    except ValueError as error:
        raise GptmillError(str(error)) from None
    generator = TextGenerator(model)
    try:
        for piece in generator.stream(prompt, sampling, stop or ()):
            say(piece, nl=False)
    except ValueError as error:
        raise GptmillError(str(error)) from None
    say()


@app.command()
def ask(
    instruction: str,
    input: Annotated[str, typer.Argument(help="the text that the instruction refers to, if any")] = "",
    max_new_tokens: NewTokens = 100,
    model: Model = paths.INSTRUCT_MODEL,
) -> None:
    """Have the instruct model follow INSTRUCTION."""
    from gptmill.config import memory
    from gptmill.inference.models import Assistant

    if problem := memory.new_tokens_problem(max_new_tokens):
        raise GptmillError(problem)
    say(Assistant(model).answer(instruction, input, max_new_tokens))


@app.command()
def classify(text: str, model: Model = paths.CLASSIFIER_MODEL) -> None:
    """Classify TEXT and print the label with its probability."""
    from gptmill.inference.models import TextClassifier

    [(label, probability)] = TextClassifier(model).classify([text])
    say(f"{label} ({probability:.1%})")
