"""A model's answers to instructions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tqdm import tqdm

from gptmill.config.schema import GenerateParams
from gptmill.inference.decoder import Decoder
from gptmill.inference.generation import IncrementalDetokenizer, SamplingParams, stream
from gptmill.inference.resumable import ResumableJsonl
from gptmill.model.gpt import GPT
from gptmill.runtime.device import Runtime
from gptmill.text.prompts import PromptTemplate
from gptmill.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Answer:
    response: str
    tokens: int  # that the model wrote: with headers, and with what it went on to
    stopped: str  # "stop": the model ended, or began a further section; "length": it was cut


def respond(
    model: GPT,
    tokenizer: Tokenizer,
    style: PromptTemplate,
    prompts: Sequence[str],
    params: GenerateParams,
    seed: int,
    runtime: Runtime,
    progress: ResumableJsonl,
) -> list[Answer]:
    """The answer to each prompt, in the prompts' order. Batches that `progress` has are taken from there, the others are added to it.

    Prompts of like length share a batch, so that little of it is padding. What a batch says depends on nothing but the batch.
    """
    decoder = Decoder(model.to(runtime.device), half=runtime.bf16)
    encoded = [tokenizer.encode(prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
    finished = progress.finished()
    answers: dict[int, Answer] = {}
    with tqdm(total=len(prompts), desc="responses", unit="answer", disable=None) as bar:
        for start in range(0, len(order), params.batch_size):
            batch = order[start : start + params.batch_size]
            if found := finished.get(str(start)):
                made = [Answer(**answer) for answer in found]
                bar.update(len(batch))
            else:
                decoding = SamplingParams(
                    params.max_new_tokens,
                    params.temperature,
                    params.top_k,
                    stop=tokenizer.end_of_text,
                    seed=seed + start,
                    vocab_size=tokenizer.vocab_size,
                )
                made = complete(decoder, tokenizer, style, [encoded[i] for i in batch], decoding, bar.update)
                progress.add(str(start), [asdict(answer) for answer in made])
            answers |= zip(batch, made, strict=True)
    return [answers[i] for i in range(len(prompts))]


def complete(
    model: GPT | Decoder,
    tokenizer: Tokenizer,
    style: PromptTemplate,
    prompts: Sequence[Sequence[int]],
    decoding: SamplingParams,
    on_end: Callable[[], object] = lambda: None,
) -> list[Answer]:
    """The answer to each encoded prompt, all of them side by side. `on_end` is called as each of them ends."""
    texts, written = [IncrementalDetokenizer(tokenizer) for _ in prompts], ["" for _ in prompts]
    counts, stopped = [0] * len(prompts), ["length"] * len(prompts)
    for row, token in stream(model, prompts, decoding, ends=lambda row: stopped[row] == "stop"):
        if token == decoding.stop:
            stopped[row] = "stop"
        else:
            counts[row] += 1
            written[row] += texts[row].feed(token)
            if style.read(written[row])[1]:
                stopped[row] = "stop"
        if stopped[row] == "stop" or counts[row] == decoding.max_new_tokens:
            on_end()
    said = [text + rest.finish() for text, rest in zip(written, texts, strict=True)]
    return [Answer(style.read(text)[0], *rest) for text, *rest in zip(said, counts, stopped, strict=True)]
