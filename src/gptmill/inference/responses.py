"""Generate a model's responses to instructions, in batches; a killed run resumes."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tqdm import tqdm

from gptmill.config.schema import GenerateParams
from gptmill.inference.decoder import Decoder
from gptmill.inference.detokenizer import IncrementalDetokenizer
from gptmill.inference.generation import stream
from gptmill.inference.resumable import ResumableJsonl
from gptmill.inference.sampling import SamplingParams
from gptmill.model.gpt import GPT
from gptmill.runtime.device import Runtime
from gptmill.text.prompts import PromptTemplate
from gptmill.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Answer:
    response: str
    tokens: int  # generated, with headers and further sections
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
    """The answer to each prompt, in order. Finished batches are read from `progress`, new ones are added to it.

    Prompts of like length share a batch, which keeps padding small. A batch's answers depend on the batch alone.
    """
    decoder = Decoder(model.to(runtime.device), bf16=runtime.bf16)
    encoded = [tokenizer.encode(prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
    finished = progress.finished()
    answers: dict[int, Answer] = {}
    with tqdm(total=len(prompts), desc="responses", unit="answer", disable=None) as bar:
        for start in range(0, len(order), params.batch_size):
            batch = order[start : start + params.batch_size]
            if lines := finished.get(str(start)):
                batch_answers = [Answer(**line) for line in lines]
                bar.update(len(batch))
            else:
                sampling = SamplingParams(params.max_new_tokens, params.temperature, params.top_k, seed=seed + start)
                batch_prompts = [encoded[i] for i in batch]
                batch_answers = complete(decoder, tokenizer, template, batch_prompts, sampling, bar.update)
                progress.add(str(start), [asdict(answer) for answer in batch_answers])
            answers |= zip(batch, batch_answers, strict=True)
    return [answers[i] for i in range(len(prompts))]


def complete(
    model: GPT | Decoder,
    tokenizer: Tokenizer,
    template: PromptTemplate,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingParams,
    on_finish: Callable[[], object] = lambda: None,
) -> list[Answer]:
    """The answer to each encoded prompt, in one batch. `on_finish` is called as each of them ends."""
    sampling = sampling.for_tokenizer(tokenizer)
    detokenizers, written = [IncrementalDetokenizer(tokenizer) for _ in prompts], [""] * len(prompts)
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
            on_finish()
    written = [text + detokenizer.finish() for text, detokenizer in zip(written, detokenizers, strict=True)]
    return [
        Answer(template.parse_response(text)[0], *rest) for text, *rest in zip(written, counts, reasons, strict=True)
    ]
