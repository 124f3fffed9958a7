"""What a language model says along the way: the same prompt continued at each evaluation, so that a person sees it learn."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from gptmill import files
from gptmill.compute import Compute
from gptmill.model.generation import Decoding, generate
from gptmill.model.gpt import GPT
from gptmill.tokenizer import Tokenizer
from gptmill.training.loop import Evaluation

NEW_TOKENS = 24
PROMPT_CHARACTERS = 40  # of its end, that are shown


class Samples:
    """For `loop.train`'s `on_evaluation`. The likeliest tokens, so nothing is drawn at random: the training does not notice.

    Each sample is a line in the terminal; `keep` is given all of them so far. `memory` is a file beside the checkpoints of the training: it
    keeps what was said before a kill, so that a training that goes on from a checkpoint ends with the samples of one that was left alone.
    """

    def __init__(
        self,
        model: GPT,
        words: Tokenizer,
        prompt: Sequence[int],
        compute: Compute,
        keep: Callable[[str], None],
        memory: Path | None = None,
    ) -> None:
        self._model, self._words, self._prompt, self._compute, self._keep = model, words, list(prompt), compute, keep
        self._memory = memory
        self._said = {sample["step"]: sample for sample in files.read_jsonl(memory)} if memory and memory.exists() else {}

    @property
    def records(self) -> list[dict[str, int | str]]:
        """`step`, `prompt` and `text` of each evaluation, in order."""
        return [self._said[step] for step in sorted(self._said)]

    def __call__(self, curve: Sequence[Evaluation]) -> None:
        with self._compute.autocast():
            [said] = generate(self._model, [self._prompt], Decoding(NEW_TOKENS, stop=self._words.end_of_text))
        step = curve[-1].step
        self._said[step] = {"step": step, "prompt": self._words.decode(self._prompt), "text": self._words.decode(said.tokens)}
        past = {evaluation.step for evaluation in curve}
        self._said = {step: sample for step, sample in self._said.items() if step in past}  # others are of a later moment than this
        if self._memory:
            files.write_jsonl(self._memory, self.records)
        lines = [self._shown(sample) for sample in self.records]
        tqdm.write(f"  {lines[-1]}")
        self._keep("\n".join(lines) + "\n")

    @staticmethod
    def _shown(sample: dict) -> str:
        return f"step {sample['step']}: … {_line(sample['prompt'])[-PROMPT_CHARACTERS:].strip()} → {_line(sample['text']).strip()}"


def _line(text: str) -> str:
    """As one line that any terminal can show: whatever would move its cursor is a space."""
    return "".join(character if character.isprintable() else " " for character in text)
