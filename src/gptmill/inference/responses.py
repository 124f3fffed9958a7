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
    finish_reason: str  # "stop": the model ended, or began a further section; "length": max_new_tokens were reached


def respond(
    model: GPT,
    tokenizer: Tokenizer,
    template: PromptTemplate,
    prompts: Sequence[str],
    params: GenerateParams,
    seed: int,
    runtime: Runtime,
    progress: ResumableJsonl,
) -> list[Answer]:
    """The answer to each prompt, in the prompts' order. Batches that `progress` has are taken from there, the others are added to it.

    Prompts of like length share a batch, so that little of it is padding. What a batch says depends on nothing but the batch.
    """
    decoder = Decoder(model.to(runtime.device), bf16=runtime.bf16)
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
                sampling = SamplingParams(
                    params.max_new_tokens,
                    params.temperature,
                    params.top_k,
                    stop=tokenizer.end_of_text,
                    seed=seed + start,
                    vocab_size=tokenizer.vocab_size,
                )
                made = complete(decoder, tokenizer, template, [encoded[i] for i in batch], sampling, bar.update)
                progress.add(str(start), [asdict(answer) for answer in made])
            answers |= zip(batch, made, strict=True)
    return [answers[i] for i in range(len(prompts))]


def complete(
    model: GPT | Decoder,
    tokenizer: Tokenizer,
    template: PromptTemplate,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingParams,
    on_end: Callable[[], object] = lambda: None,
) -> list[Answer]:
    """The answer to each encoded prompt, all of them side by side. `on_end` is called as each of them ends."""
    detokenizers, written = [IncrementalDetokenizer(tokenizer) for _ in prompts], ["" for _ in prompts]
    counts, reasons = [0] * len(prompts), ["length"] * len(prompts)
    for row, token in stream(model, prompts, sampling, should_stop=lambda row: reasons[row] == "stop"):
        if token == sampling.stop:
            reasons[row] = "stop"
        else:
            counts[row] += 1
            written[row] += detokenizers[row].feed(token)
            if template.parse_response(written[row])[1]:
                reasons[row] = "stop"
        if reasons[row] == "stop" or counts[row] == sampling.max_new_tokens:
            on_end()
    written = [text + detokenizer.finish() for text, detokenizer in zip(written, detokenizers, strict=True)]
    return [
        Answer(template.parse_response(text)[0], *rest) for text, *rest in zip(written, counts, reasons, strict=True)
    ]
