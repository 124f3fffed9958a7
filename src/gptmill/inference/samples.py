"""Sample texts of a language model, while it trains and when it is evaluated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tqdm import tqdm

from gptmill.inference.generation import generate
from gptmill.inference.sampling import SamplingParams
from gptmill.model.gpt import GPT
from gptmill.runtime.device import Runtime
from gptmill.text.tokenizer import Tokenizer

NEW_TOKENS = 24
PROMPT_CHARACTERS = 40  # shown of its end


class Curve(Protocol):
    """A training under way; its last evaluation has the step."""

    curve: Sequence


def continuation(
    model: GPT, tokenizer: Tokenizer, prompt: Sequence[int], runtime: Runtime, new_tokens: int = NEW_TOKENS
) -> str:
    """The greedy continuation of a prompt. It draws no random numbers, so that a training stays the same."""
    with runtime.autocast():
        [completion] = generate(model, [prompt], SamplingParams(new_tokens).for_tokenizer(tokenizer))
    return tokenizer.decode(completion.tokens)


@dataclass
class Samples:
    """Training callback: continues the same prompt at each evaluation, prints the text and logs it under a name."""

    model: GPT
    tokenizer: Tokenizer
    prompt: Sequence[int]
    runtime: Runtime
    log: Callable[[str, str], None]

    def __call__(self, trained: Curve) -> None:
        step = trained.curve[-1].step
        text = continuation(self.model, self.tokenizer, self.prompt, self.runtime)
        prompt = self.tokenizer.decode(self.prompt)
        tqdm.write(f"  step {step}: … {_line(prompt)[-PROMPT_CHARACTERS:].strip()} → {_line(text).strip()}")
        self.log(f"samples/step-{step:06d}.txt", f"{prompt}\n→\n{text}\n")


def _line(text: str) -> str:
    """One line that any terminal can show: a character that may move its cursor becomes a space."""
    return "".join(character if character.isprintable() else " " for character in text)
