"""Models of a folder, for the command line and MLflow's pyfunc: text in, text or label out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gptmill.config.compute import ComputeParams
from gptmill.inference import classification
from gptmill.inference.detokenizer import IncrementalDetokenizer
from gptmill.inference.generation import stream
from gptmill.inference.responses import complete
from gptmill.inference.sampling import SamplingParams
from gptmill.model.folder import ModelFolder
from gptmill.runtime import device

BATCH_SIZE = 32  # prompts


def _runtime() -> device.Runtime:
    return device.setup(ComputeParams(precision="float32"), seed=0)


class TextGenerator:
    """A language model that continues a text."""

    def __init__(self, folder: Path) -> None:
        runtime = _runtime()
        model, self.tokenizer = ModelFolder(folder).load()
        self.model = model.to(runtime.device)

    def stream(self, prompt: str, sampling: SamplingParams, stop_strings: Sequence[str] = ()) -> Iterator[str]:
        """The prompt, then its continuation up to a stop string. An empty prompt starts a new document."""
        yield prompt
        ids = self.tokenizer.encode(prompt) or [self.tokenizer.end_of_text]
        text = IncrementalDetokenizer(self.tokenizer, stop_strings)
        sampling = sampling.for_tokenizer(self.tokenizer)
        for _, token in stream(self.model, [ids], sampling, should_stop=lambda row: text.stopped):
            if piece := text.feed(token):
                yield piece
        yield text.finish()


class Assistant:
    """A language model tuned to follow instructions, with the prompt template that its folder names."""

    def __init__(self, folder: Path) -> None:
        runtime = _runtime()
        model, self.tokenizer, self.template = ModelFolder(folder).load_instruct()
        self.model = model.to(runtime.device)

    def answer(self, instruction: str, input: str = "", max_new_tokens: int = 100) -> str:
        [answer] = self.answers([(instruction, input)], max_new_tokens)
        return answer

    def answers(self, questions: Sequence[tuple[str, str]], max_new_tokens: int = 100) -> list[str]:
        """The response to each (instruction, input), in batches."""
        prompts = [self.tokenizer.encode(self.template.prompt(*question)) for question in questions]
        sampling = SamplingParams(max_new_tokens)
        return [
            answer.response
            for start in range(0, len(prompts), BATCH_SIZE)
            for answer in complete(
                self.model, self.tokenizer, self.template, prompts[start : start + BATCH_SIZE], sampling
            )
        ]


class TextClassifier:
    """A classifier with its tokenizer and the number of tokens that it was trained to read."""

    def __init__(self, folder: Path) -> None:
        self.runtime = _runtime()
        self.model, self.tokenizer, self.max_length = ModelFolder(folder).load_classifier()

    def classify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """(label, its probability from 0 to 1) for each text."""
        return [classification.top_label(row, self.model.labels) for row in self._probabilities(texts)]

    def distribute(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """For each text, every label with its probability."""
        return [dict(zip(self.model.labels, row, strict=True)) for row in self._probabilities(texts)]

    def _probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        return classification.probabilities(self.model, self.tokenizer, texts, self.max_length, self.runtime)
