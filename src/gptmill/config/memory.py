"""Memory estimates of models, to refuse impossible sizes before work begins."""

from typing import Protocol

import psutil

from gptmill.core.errors import GptmillError

FLOAT32 = 4  # bytes
TRAINING = 4  # times the weights: weights, gradients, AdamW's two moments
MOST_LAYERS = 1000
MOST_WEIGHTS = 1 << 40  # bytes
MOST_NEW_TOKENS = 1_000_000
_TOKEN = 100  # bytes of a generated token in Python's lists and text


class Sizes(Protocol):
    """Fields that a model's config and `params.model` share."""

    n_layers: int
    d_model: int
    context_length: int
    qkv_bias: bool
    tie_weights: bool


def count_parameters(sizes: Sizes, vocab_size: int) -> int:
    """Tied matrices count once. A block has 12 C² in matrices: qkv 3, out_proj 1, up_proj and down_proj 8."""
    C, biases = sizes.d_model, 3 * sizes.d_model if sizes.qkv_bias else 0
    norms = 2 * C
    attention = 3 * C * C + biases + C * C + C
    feed_forward = 8 * C * C + 4 * C + C
    embeddings = (vocab_size + sizes.context_length) * C
    head = 0 if sizes.tie_weights else vocab_size * C
    return embeddings + sizes.n_layers * (2 * norms + attention + feed_forward) + norms + head


def model_problem(sizes: Sizes, vocab_size: int) -> str:
    """Why no machine can hold such a model; empty when one may."""
    weights = FLOAT32 * count_parameters(sizes, vocab_size)
    if sizes.n_layers <= MOST_LAYERS and weights <= MOST_WEIGHTS:
        return ""
    return (
        f"{_name(sizes, vocab_size)} would take {format_bytes(weights)} for the weights and "
        f"{format_bytes(TRAINING * weights)} to train; "
        f"the limits are {MOST_LAYERS:,} layers and {format_bytes(MOST_WEIGHTS)} of weights"
    )


def require_memory(sizes: Sizes, vocab_size: int) -> None:
    """Raises `GptmillError` when this machine's memory can't hold the weights."""
    if problem := model_problem(sizes, vocab_size):
        raise GptmillError(problem)
    weights, memory = FLOAT32 * count_parameters(sizes, vocab_size), psutil.virtual_memory().total
    if weights > memory:
        raise GptmillError(
            f"{_name(sizes, vocab_size)} takes {format_bytes(weights)} for the weights alone, "
            f"{format_bytes(TRAINING * weights)} to train; "
            f"this machine has {format_bytes(memory)} of memory: use a smaller model or a larger machine"
        )


def new_tokens_problem(count: int, rows: int = 1) -> str:
    """Why so many new tokens per row are refused; empty when they are allowed."""
    if count <= MOST_NEW_TOKENS:
        return ""
    each = f" for each of {rows:,} texts" if rows > 1 else ""
    return (
        f"max_new_tokens is {count:,}: it must be at most {MOST_NEW_TOKENS:,}; "
        f"so many tokens{each} would take {format_bytes(rows * count * _TOKEN)} of memory"
    )


def format_bytes(size: float) -> str:
    """A number of bytes with its unit."""
    if size >= 10**18:
        return "more than 1,000 PB"
    units = iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while size >= 1000:
        size, unit = size / 1000, next(units)
    return f"{size:,.0f} {unit}" if unit == "B" or size >= 100 else f"{size:,.1f} {unit}"


def _name(sizes: Sizes, vocab_size: int) -> str:
    layers, width, vocabulary, context = map(_number, (sizes.n_layers, sizes.d_model, vocab_size, sizes.context_length))
    return f"a model of {layers} layers, width {width}, vocabulary {vocabulary} and context {context}"


def _number(value: int) -> str:
    return f"{value:,}" if value < 10**15 else "above 10^15"
