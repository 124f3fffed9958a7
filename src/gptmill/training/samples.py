"""What a language model says along the way: the same prompt continued at each evaluation, so that a person sees it learn."""

from collections.abc import Callable, Sequence

from tqdm import tqdm

from gptmill.compute import Compute
from gptmill.model.generation import Decoding, generate
from gptmill.model.gpt import GPT
from gptmill.tokenizer import Tokenizer
from gptmill.training.loop import Evaluation

NEW_TOKENS = 24
PROMPT_CHARACTERS = 40  # of its end, that are shown


class Samples:
    """For `loop.train`'s `on_evaluation`. The likeliest tokens, so nothing is drawn at random: the training does not notice.

    Each sample is a line in the terminal; `keep` is given all of them so far.
    """

    def __init__(self, model: GPT, words: Tokenizer, prompt: Sequence[int], compute: Compute, keep: Callable[[str], None]) -> None:
        self._model, self._words, self._prompt, self._compute, self._keep = model, words, list(prompt), compute, keep
        self._lines: list[str] = []

    def __call__(self, curve: Sequence[Evaluation]) -> None:
        with self._compute.autocast():
            [said] = generate(self._model, [self._prompt], Decoding(NEW_TOKENS, stop=self._words.end_of_text))
        prompt = _line(self._words.decode(self._prompt))[-PROMPT_CHARACTERS:].strip()
        self._lines.append(f"step {curve[-1].step}: … {prompt} → {_line(self._words.decode(said.tokens)).strip()}")
        tqdm.write(f"  {self._lines[-1]}")
        self._keep("\n".join(self._lines) + "\n")


def _line(text: str) -> str:
    """As one line that any terminal can show: whatever would move its cursor is a space."""
    return "".join(character if character.isprintable() else " " for character in text)
