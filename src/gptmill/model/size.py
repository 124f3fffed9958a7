"""Sizes of a model, without building it."""

from dataclasses import dataclass

from gptmill.config import memory
from gptmill.config.memory import FLOAT32
from gptmill.model.gpt import GPTConfig


@dataclass(frozen=True)
class Size:
    """Parameters of a language model, and bytes to hold and to train it in float32."""

    parameters: int
    embeddings: int  # parameters in the token and position tables
    weights: int
    training: int  # weights, gradients and AdamW's two moments
    cache_per_token: int  # of the KV cache, for each token of a row


def measure(config: GPTConfig) -> Size:
    count = memory.count_parameters(config, config.vocab_size)
    return Size(
        parameters=count,
        embeddings=(config.vocab_size + config.context_length) * config.d_model,
        weights=FLOAT32 * count,
        training=memory.TRAINING * FLOAT32 * count,
        cache_per_token=2 * FLOAT32 * config.n_layers * config.d_model,
    )
