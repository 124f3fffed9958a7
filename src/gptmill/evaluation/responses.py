"""A model's answers to instructions."""

from collections.abc import Iterable, Iterator, Sequence

from tqdm import tqdm

from gptmill.compute import Compute
from gptmill.data import prompts
from gptmill.model.generation import Decoding, generate
from gptmill.model.gpt import GPT
from gptmill.params import GenerateParams
from gptmill.tokenizer import Tokenizer

_SECTIONS = (prompts.RESPONSE, prompts.INSTRUCTION, prompts.INPUT)


def respond(
    model: GPT, tokenizer: Tokenizer, records: Sequence[dict[str, str]], params: GenerateParams, seed: int, compute: Compute
) -> Iterator[dict[str, str | int]]:
    """Each record with `response`, `tokens` (how many the model wrote) and `stopped` (stop or length), in the records' order."""
    model.to(compute.device)
    encoded = [tokenizer.encode(prompts.alpaca(record["instruction"], record["input"])) for record in records]
    # Prompts of like length share a batch, so that little of it is padding.
    order = sorted(range(len(records)), key=lambda i: len(encoded[i]))
    answers: dict[int, dict[str, str | int]] = {}
    with tqdm(total=len(records), desc="responses", unit="answer", disable=None) as bar:
        for batch in _chunks(order, params.batch_size):
            decoding = Decoding(params.max_new_tokens, params.temperature, params.top_k, stop=tokenizer.end_of_text, seed=seed + batch[0])
            with compute.autocast():
                completions = generate(model, [encoded[i] for i in batch], decoding)
            for i, completion in zip(batch, completions, strict=True):
                text = extract(tokenizer.decode(completion.tokens))
                answers[i] = {"response": text, "tokens": len(completion.tokens), "stopped": completion.stopped}
            bar.update(len(batch))
    for i, record in enumerate(records):
        yield {**record, **answers[i]}


def extract(text: str) -> str:
    """The answer in what the model wrote: a `### Response:` of its own at the start is skipped, what it opens after that is cut off."""
    text = text.strip().removeprefix(prompts.RESPONSE)
    ends = [at for section in _SECTIONS if (at := text.find(section)) >= 0]
    return text[: min(ends, default=len(text))].strip()


def _chunks(items: list[int], size: int) -> Iterable[list[int]]:
    return (items[i : i + size] for i in range(0, len(items), size))
