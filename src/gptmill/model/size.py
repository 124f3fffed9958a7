"""How large a model is, without building it."""

from dataclasses import dataclass

from gptmill.model.gpt import GPTConfig

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Size:
    """Parameters of a language model; bytes of what it takes to hold and to train it in float32."""

    parameters: int
    embeddings: int  # parameters in the token and position tables
    weights: int
    training: int  # weights, gradients and AdamW's two moments
    cache_per_token: int  # keys and values that decoding keeps for each token of a row


def parameters(config: GPTConfig) -> int:
    """Each tied matrix counted once. A block has 12 C² in matrices: 3 for query, key and value, 1 for the projection, 8 to and fro."""
    C, biases = config.d_model, 3 * config.d_model if config.qkv_bias else 0
    norms = 2 * C
    attention = 3 * C * C + biases + C * C + C
    feed_forward = 8 * C * C + 4 * C + C
    head = 0 if config.tie_weights else config.vocab_size * C
    return _embeddings(config) + config.n_layers * (2 * norms + attention + feed_forward) + norms + head


def measure(config: GPTConfig) -> Size:
    count = parameters(config)
    return Size(
        parameters=count,
        embeddings=_embeddings(config),
        weights=FLOAT32 * count,
        training=4 * FLOAT32 * count,
        cache_per_token=2 * FLOAT32 * config.n_layers * config.d_model,
    )


def _embeddings(config: GPTConfig) -> int:
    return (config.vocab_size + config.context_length) * config.d_model
