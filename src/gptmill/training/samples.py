"""What a language model says along the way: the same prompt continued at each evaluation, so that a person sees it learn."""

from collections.abc import Callable, Sequence

from tqdm import tqdm

from gptmill.compute import Compute
from gptmill.model.generation import Decoding, generate
from gptmill.model.gpt import GPT
from gptmill.tokenizer import Tokenizer
from gptmill.training.loop import Trained

NEW_TOKENS = 24
PROMPT_CHARACTERS = 40  # of its end, that are shown


class Samples:
    """For `loop.train`'s `on_evaluation`. The likeliest tokens, so nothing is drawn at random: the training does not notice.

    Each sample is a line in the terminal; `keep` is given all of them so far.
    """

    def __init__(self, model: GPT, words: Tokenizer, prompt: Sequence[int], compute: Compute, keep: Callable[[str], None]) -> None:
        self._model, self._words, self._prompt, self._compute, self._keep = model, words, list(prompt), compute, keep

    def __call__(self, trained: Trained) -> None:
        with self._compute.autocast():
            decoding = Decoding(NEW_TOKENS, stop=self._words.end_of_text, vocab_size=self._words.vocab_size)
            [said] = generate(self._model, [self._prompt], decoding)
        trained.said.append(self._words.decode(said.tokens))
        lines = [self._shown(sample) for sample in self.records(trained)]
        tqdm.write(f"  {lines[-1]}")
        self._keep("\n".join(lines) + "\n")

    def records(self, trained: Trained) -> list[dict[str, int | str]]:
        """`step`, `prompt` and `text` of each evaluation, in order; none where another process made the model speak."""
        prompt = self._words.decode(self._prompt)
        return [{"step": at.step, "prompt": prompt, "text": text} for at, text in zip(trained.curve, trained.said, strict=False)]

    @staticmethod
    def _shown(sample: dict) -> str:
        return f"step {sample['step']}: … {_line(sample['prompt'])[-PROMPT_CHARACTERS:].strip()} → {_line(sample['text']).strip()}"


def _line(text: str) -> str:
    """As one line that any terminal can show: whatever would move its cursor is a space."""
    return "".join(character if character.isprintable() else " " for character in text)
