"""Decoding: from prompts to completions, in a batch, with a KV cache.

A completion does not depend on its batch (see `decoder.py`). When a row fills the context, its older half is dropped
and the rest is prefilled again, so that a text may be longer than the context. Of a longer prompt the end is read.

Each function takes a model, which is read as it is, or a `Decoder` of one, which may serve many calls.
"""

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gptmill.config import memory
from gptmill.inference.decoder import Decoder
from gptmill.model.gpt import GPT
from gptmill.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is chosen. Temperature 0 is greedy decoding, without top_k, top_p and seed."""

    max_new_tokens: int
    temperature: float = 0.0
    top_k: int = 0  # 0: all tokens
    top_p: float = 1.0  # the smallest set of tokens whose probability reaches this (Holtzman et al. 2019)
    repetition_penalty: float = 1.0  # divides the logits of earlier tokens (Keskar et al. 2019, section 4.1)
    min_new_tokens: int = 0
    stop: int | None = None  # the token that ends a row; completions do not contain it
    seed: int = 0  # row i draws from seed + i
    vocab_size: int | None = (
        None  # of the tokenizer: ids from there on have no token, are never chosen; None: the model's
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
        broken = [rule for rule, holds in rules.items() if not holds]
        if problem := memory.new_tokens_problem(self.max_new_tokens):
            broken.append(problem)
        if broken:
            raise ValueError("; ".join(broken))

    def for_tokenizer(self, tokenizer: Tokenizer) -> "SamplingParams":
        return replace(self, stop=tokenizer.end_of_text, vocab_size=tokenizer.vocab_size)


@dataclass(frozen=True)
class Completion:
    tokens: list[int]
    finish_reason: str  # "stop": the stop token came; "length": max_new_tokens were reached


def generate(model: GPT | Decoder, prompts: Sequence[Sequence[int]], sampling: SamplingParams) -> list[Completion]:
    """One completion per prompt, in the prompts' order."""
    tokens: list[list[int]] = [[] for _ in prompts]
    reasons = ["length"] * len(prompts)
    for row, token in stream(model, prompts, sampling):
        if token == sampling.stop:
            reasons[row] = "stop"
        else:
            tokens[row].append(token)
    return [Completion(*pair) for pair in zip(tokens, reasons, strict=True)]


class IncrementalDetokenizer:
    """Tokens of a row in, text out once it is certain: whole characters, no stop string and no beginning of one."""

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str] = ()) -> None:
        if not all(stop_strings):
            raise ValueError("a stop string must have at least one character")
        self.stopped = False  # whether a stop string came
        self._tokenizer, self._stops = tokenizer, tuple(stop_strings)
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a character may be spread over tokens
        self._held = ""

    def feed(self, token: int) -> str:
        """The text that is certain after one more token; nothing after a stop string."""
        return self._certain(self._bytes.decode(self._tokenizer.token_bytes(token)))

    def finish(self) -> str:
        """The text held back, when no more tokens come."""
        text = self._certain(self._bytes.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _certain(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        matches = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if matches:
            self.stopped, self._held = True, ""
            return text[: min(matches)]
        held = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


@torch.inference_mode()
def stream(
    model: GPT | Decoder,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingParams,
    should_stop: Callable[[int], bool] = lambda row: False,
) -> Iterator[tuple[int, int]]:
    """Yields (row, token) as they come, the stop token included. Raises `ValueError` for an empty prompt.

    `should_stop(row)` is asked after each token, for reasons to end a row that tokens alone do not show.
    """
    if not all(prompts):
        raise ValueError("a prompt must have at least one token")
    if not prompts or sampling.max_new_tokens < 1:
        return
    decoder = model if isinstance(model, Decoder) else Decoder(model)
    was_training = decoder.model.training
    decoder.model.eval()
    try:
        yield from _decode(decoder, prompts, sampling, should_stop)
    finally:
        decoder.model.train(was_training)


def _decode(
    decoder: Decoder, prompts: Sequence[Sequence[int]], sampling: SamplingParams, should_stop: Callable[[int], bool]
) -> Iterator[tuple[int, int]]:
    context = decoder.config.context_length
    history = [list(prompt) for prompt in prompts]  # prompt and completion, for the repetition penalty
    window = [list(prompt[-context:]) for prompt in prompts]  # the part of it that is in the cache
    generators = [torch.Generator().manual_seed(sampling.seed + row) for row in range(len(prompts))]
    rows, state = list(range(len(prompts))), None
    for count in range(sampling.max_new_tokens):
        if state is None:
            state, logits = decoder.prefill([window[row] for row in rows], sampling.max_new_tokens - count)
        else:
            logits = state.decode_step([window[row][-1] for row in rows])
        tokens = _next_tokens(
            logits, [history[row] for row in rows], sampling, count, [generators[row] for row in rows]
        )
        unfinished = []
        for i, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            history[row].append(token)
            window[row].append(token)
            yield row, token
            if token != sampling.stop and not should_stop(row):
                unfinished.append(i)
        if not unfinished:
            return
        if len(unfinished) < len(rows):
            rows = [rows[i] for i in unfinished]
            state.select_rows(unfinished)
        if full := [row for row in rows if len(window[row]) > context]:
            for row in full:
                window[row] = window[row][-max(1, context // 2) :]
            state = None


def _next_tokens(
    logits: Tensor,
    history: Sequence[list[int]],
    sampling: SamplingParams,
    count: int,
    generators: Sequence[torch.Generator],
) -> list[int]:
    """The next token of each row from (B, V) logits, `count` tokens after the prompt; in one step if greedy."""
    if sampling.vocab_size is not None:
        logits[:, sampling.vocab_size :] = -torch.inf
    if sampling.stop is not None and count < sampling.min_new_tokens:
        logits[:, sampling.stop] = -torch.inf
    if sampling.temperature or sampling.repetition_penalty != 1.0:
        return [_sample(row, sampling, *rest) for row, *rest in zip(logits, history, generators, strict=True)]
    return logits.float().argmax(1).tolist()


def _sample(logits: Tensor, sampling: SamplingParams, history: list[int], generator: torch.Generator) -> int:
    """The next token of one row from its (V,) logits."""
    logits = logits.float().cpu()
    if sampling.repetition_penalty != 1.0:
        earlier = torch.tensor(sorted(set(history)))
        scores, penalty = logits[earlier], sampling.repetition_penalty
        logits[earlier] = torch.where(scores > 0, scores / penalty, scores * penalty)
    scaled = logits / sampling.temperature if sampling.temperature else logits
    if sampling.temperature == 0 or not scaled.max().isfinite():  # a temperature so near to 0 that float32 overflows
        return int(logits.argmax())
    if 0 < sampling.top_k < len(scaled):
        scaled[scaled < scaled.topk(sampling.top_k).values[-1]] = -torch.inf
    if sampling.top_p < 1:
        ordered, order = scaled.softmax(0).sort(descending=True)
        dropped = ordered.cumsum(0) - ordered >= sampling.top_p
        dropped[0] = False  # top_p may be 0 in float32
        scaled[order[dropped]] = -torch.inf
    return int(torch.multinomial(scaled.softmax(0), 1, generator=generator))
