"""Decoding: from prompts to completions, in a batch, with a KV cache.

A completion does not depend on its batch (see `decoder.py`). When a row fills the context, its older half is dropped
and the rest is prefilled again, so that a text may be longer than the context. Of a longer prompt the end is read.

Each function takes a model, which is read as it is, or a `Decoder` of one, which may serve many calls.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from gptmill.inference.decoder import Decoder
from gptmill.inference.sampling import SamplingParams, next_tokens
from gptmill.model.gpt import GPT


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
        tokens = next_tokens(logits, [history[row] for row in rows], sampling, count, [generators[row] for row in rows])
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
