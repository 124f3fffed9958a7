"""Decoding: from prompts to the tokens that follow, with a cache of keys and values, many prompts at once.

A row gives what it gives alone (`decoder.py` says how). When a row has filled the context, its older half is forgotten and the rest is
read again: a text may go on for longer than the model can look back, and a prompt longer than the context is read from its end.

Each function takes a model, which is read as it is, or a `Decoder` of one, which may be kept for many calls.
"""

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gptmill.config import memory
from gptmill.inference.decoder import Decoder
from gptmill.model.gpt import GPT
from gptmill.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is chosen. Temperature 0 takes the likeliest one; what follows it here then plays no part."""

    max_new_tokens: int
    temperature: float = 0.0
    top_k: int = 0  # 0: all tokens
    top_p: float = 1.0  # the smallest set of tokens whose probability reaches this (Holtzman et al. 2019)
    repetition_penalty: float = 1.0  # divides the logits of what was said before (Keskar et al. 2019, section 4.1)
    min_new_tokens: int = 0
    stop: int | None = None  # the token that ends a row; it is not part of what is returned
    seed: int = 0  # row i draws from seed + i
    vocab_size: int | None = (
        None  # of the tokenizer: ids from there on have no token, and are never chosen; None: the model's
    )

    def __post_init__(self) -> None:
        rules = {
            "max_new_tokens must be 0 or more": self.max_new_tokens >= 0,
            "min_new_tokens must be from 0 to max_new_tokens": 0 <= self.min_new_tokens <= self.max_new_tokens,
            "temperature must be 0 or more": 0 <= self.temperature < float("inf"),
            "top_k must be 0 (all tokens) or more": self.top_k >= 0,
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
            "repetition_penalty must be from 0.001 to 1000": 0.001 <= self.repetition_penalty <= 1000,
            "seed must be between -2^62 and 2^62": abs(self.seed) <= 1 << 62,
        }
        broken = [rule for rule, kept in rules.items() if not kept]
        if problem := memory.new_tokens_problem(self.max_new_tokens):
            broken.append(problem)
        if broken:
            raise ValueError("; ".join(broken))


@dataclass(frozen=True)
class Completion:
    tokens: list[int]
    stopped: str  # "stop": the stop token came; "length": max_new_tokens were reached


def generate(model: GPT | Decoder, prompts: Sequence[Sequence[int]], decoding: SamplingParams) -> list[Completion]:
    """One completion a prompt, in the prompts' order."""
    tokens: list[list[int]] = [[] for _ in prompts]
    stopped = ["length"] * len(prompts)
    for row, token in stream(model, prompts, decoding):
        if token == decoding.stop:
            stopped[row] = "stop"
        else:
            tokens[row].append(token)
    return [Completion(*pair) for pair in zip(tokens, stopped, strict=True)]


class IncrementalDetokenizer:
    """Tokens of one row in, text that may be shown out: whole characters, and nothing of a stop string or of what may yet become one."""

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str] = ()) -> None:
        if not all(stop_strings):
            raise ValueError("a stop string must have at least one character")
        self.stopped = False  # whether a stop string came
        self._tokenizer, self._stops = tokenizer, tuple(stop_strings)
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a character may be spread over tokens
        self._held = ""

    def feed(self, token: int) -> str:
        """The text that is certain after one more token. Nothing, once a stop string came."""
        return self._certain(self._bytes.decode(self._tokenizer.token_bytes(token)))

    def finish(self) -> str:
        """What was held back, when no token comes any more."""
        text = self._certain(self._bytes.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _certain(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        held = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


@torch.inference_mode()
def stream(
    model: GPT | Decoder,
    prompts: Sequence[Sequence[int]],
    decoding: SamplingParams,
    ends: Callable[[int], bool] = lambda row: False,
) -> Iterator[tuple[int, int]]:
    """Yields (row, token) as they come, the stop token included. Raises `ValueError` for an empty prompt.

    `ends` is asked after each token whether its row is to go no further, for reasons that tokens alone do not show.
    """
    if not all(prompts):
        raise ValueError("a prompt must have at least one token")
    if decoding.max_new_tokens < 1:
        return
    decoder = model if isinstance(model, Decoder) else Decoder(model)
    was_training = decoder.model.training
    decoder.model.eval()
    try:
        yield from _decode(decoder, prompts, decoding, ends)
    finally:
        decoder.model.train(was_training)


def _decode(
    decoder: Decoder, prompts: Sequence[Sequence[int]], decoding: SamplingParams, ends: Callable[[int], bool]
) -> Iterator[tuple[int, int]]:
    context = decoder.config.context_length
    said = [list(prompt) for prompt in prompts]  # everything, prompt included: what a repetition is measured against
    seen = [list(prompt[-context:]) for prompt in prompts]  # what the model still looks back on
    left = [decoding.max_new_tokens] * len(prompts)
    generators = [torch.Generator().manual_seed(decoding.seed + row) for row in range(len(prompts))]
    rows = list(range(len(prompts)))
    while rows:
        reading, logits = decoder.read([seen[row] for row in rows], max(left[row] for row in rows))
        while True:
            keep = []
            new = [decoding.max_new_tokens - left[row] for row in rows]
            tokens = _choose_all(logits, [said[row] for row in rows], decoding, new, [generators[row] for row in rows])
            for i, (row, token) in enumerate(zip(rows, tokens, strict=True)):
                said[row].append(token)
                seen[row].append(token)
                left[row] -= 1
                yield row, token
                if token != decoding.stop and left[row] and not ends(row):
                    keep.append(i)
            if len(keep) < len(rows):
                rows = [rows[i] for i in keep]
                if not rows:
                    break
                reading.keep(keep)
            if any(len(seen[row]) > context for row in rows):
                for row in rows:
                    if len(seen[row]) > context:
                        seen[row] = seen[row][-max(1, context // 2) :]
                break  # read again what is left
            logits = reading.add([seen[row][-1] for row in rows])


def _choose_all(
    logits: Tensor,
    said: Sequence[list[int]],
    decoding: SamplingParams,
    new: Sequence[int],
    generators: Sequence[torch.Generator],
) -> list[int]:
    """The next token of each row from their (B, V) logits; all at once where each row's likeliest token is wanted."""
    if decoding.vocab_size is not None:
        logits[:, decoding.vocab_size :] = -torch.inf
    if decoding.temperature or decoding.repetition_penalty != 1.0:
        return [
            _choose(row, *rest)
            for row, *rest in zip(logits, said, [decoding] * len(said), new, generators, strict=True)
        ]
    logits = logits.float()
    early = [i for i, count in enumerate(new) if decoding.stop is not None and count < decoding.min_new_tokens]
    if early:
        logits[early, decoding.stop] = -torch.inf
    return logits.argmax(1).tolist()


def _choose(logits: Tensor, said: list[int], decoding: SamplingParams, new: int, generator: torch.Generator) -> int:
    """The next token of one row from its (V,) logits."""
    logits = logits.float().cpu()
    if decoding.repetition_penalty != 1.0:
        before = torch.tensor(sorted(set(said)))
        scores = logits[before]
        logits[before] = torch.where(
            scores > 0, scores / decoding.repetition_penalty, scores * decoding.repetition_penalty
        )
    if decoding.stop is not None and new < decoding.min_new_tokens:
        logits[decoding.stop] = -torch.inf
    if decoding.temperature == 0:
        return int(logits.argmax())
    scaled = logits / decoding.temperature
    if not scaled.max().isfinite():  # so near to 0 that float32 has no number for it
        return int(logits.argmax())
    logits = scaled
    if 0 < decoding.top_k < len(logits):
        logits[logits < logits.topk(decoding.top_k).values[-1]] = -torch.inf
    if decoding.top_p < 1:
        ordered, order = logits.softmax(0).sort(descending=True)
        left_out = ordered.cumsum(0) - ordered >= decoding.top_p
        left_out[0] = False  # float32 may have no number for top_p
        logits[order[left_out]] = -torch.inf
    return int(torch.multinomial(logits.softmax(0), 1, generator=generator))
