"""The choice of the next token: temperature, top-k, top-p, repetition penalty."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gptmill.config import memory
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


def next_tokens(
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
