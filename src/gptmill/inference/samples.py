"""Text sampled from a language model: while it trains, so that a person sees it learn, and when it is finished."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tqdm import tqdm

from gptmill.inference.generation import SamplingParams, generate
from gptmill.model.gpt import GPT
from gptmill.runtime.device import Runtime
from gptmill.text.tokenizer import Tokenizer

NEW_TOKENS = 24
PROMPT_CHARACTERS = 40  # of its end, that are shown


class Curve(Protocol):
    """A training, as far as it has got: its last evaluation knows the step."""

    curve: Sequence


def continuation(
    model: GPT, tokenizer: Tokenizer, prompt: Sequence[int], runtime: Runtime, new_tokens: int = NEW_TOKENS
) -> str:
    """The top-1 tokens after a prompt, decoded. Nothing is drawn at random: a training does not notice."""
    with runtime.autocast():
        [completion] = generate(
            model,
            [list(prompt)],
            SamplingParams(new_tokens, stop=tokenizer.end_of_text, vocab_size=tokenizer.vocab_size),
        )
    return tokenizer.decode(completion.tokens)


class Samples:
    """A callback of `loop.train`: continues the same prompt at each evaluation, prints it, and gives it to `log` as a named text."""

    def __init__(
        self, model: GPT, tokenizer: Tokenizer, prompt: Sequence[int], runtime: Runtime, log: Callable[[str, str], None]
    ) -> None:
        self._model, self._tokenizer, self._prompt, self._runtime, self._log = (
            model,
            tokenizer,
            list(prompt),
            runtime,
            log,
        )

    def __call__(self, trained: Curve) -> None:
        step = trained.curve[-1].step
        text = continuation(self._model, self._tokenizer, self._prompt, self._runtime)
        prompt = self._tokenizer.decode(self._prompt)
        tqdm.write(f"  step {step}: … {_line(prompt)[-PROMPT_CHARACTERS:].strip()} → {_line(text).strip()}")
        self._log(f"samples/step-{step:06d}.txt", f"{prompt}\n→\n{text}\n")


def _line(text: str) -> str:
    """As one line that any terminal can show: whatever would move its cursor is a space."""
    return "".join(character if character.isprintable() else " " for character in text)
