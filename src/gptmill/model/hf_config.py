"""`config.json` of a Hugging Face GPT-2, and which of them gptmill can build."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gptmill.config.memory import MOST_LAYERS
from gptmill.core import files
from gptmill.core.errors import GptmillError, listing, short_repr
from gptmill.model.gpt import INIT_STD, NORM_EPSILON, GPTConfig

NAME = "config.json"
CLASSIFIER = "GPT2ForSequenceClassification"

# Values that gptmill's GPT-2 is built with; others are refused.
_BUILT: dict[str, tuple[Any, ...]] = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh", "gelu"),
    "layer_norm_epsilon": (NORM_EPSILON,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
# Hugging Face's names of `GPTConfig`'s sizes.
_SIZES = {
    "vocab_size": "vocab_size",
    "n_positions": "context_length",
    "n_layer": "n_layers",
    "n_head": "n_heads",
    "n_embd": "d_model",
}
_MOST = 1 << 31  # larger sizes can only come from a damaged file


def is_size(key: str, value: Any) -> bool:
    """Whether a config's value is possible for a model's size."""
    return type(value) is int and 1 <= value <= (MOST_LAYERS if key.startswith("n_layer") else _MOST)


def size_problems(sizes: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {short_repr(value)}, which no model has" for key, value in sizes.items() if not is_size(key, value)
    ]


def dropout_problems(dropouts: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {short_repr(value)}, not a share from 0 to below 1"
        for key, value in dropouts.items()
        if type(value) not in (int, float) or not 0 <= value < 1
    ]


def is_classifier(settings: Mapping[str, Any]) -> bool:
    """Whether a config is a classifier's. Labels alone don't tell: a language model's config may have them too."""
    architectures = settings.get("architectures")
    return isinstance(architectures, list) and CLASSIFIER in architectures


def labels(settings: Mapping[str, Any], path: Path) -> list[str]:
    """A classifier's classes, in the order of its outputs. Raises `GptmillError` when `id2label` lacks one."""
    names = settings.get("id2label")
    labels = [names.get(str(i)) for i in range(len(names))] if isinstance(names, dict) else []
    if not labels or not all(isinstance(label, str) for label in labels):
        raise GptmillError(
            f"{path}: id2label is {short_repr(names)}, not the name of each class under 0, 1 and so on: get it again"
        )
    return labels


def write(path: Path, config: GPTConfig, end_of_text: int | None, labels: Sequence[str] = ()) -> None:
    """Write the config of a language model, or with labels of a classifier. `end_of_text`: the token's id, if known."""
    settings: dict[str, Any] = {
        "architectures": [CLASSIFIER if labels else "GPT2LMHeadModel"],
        "model_type": "gpt2",
        **{key: getattr(config, ours) for key, ours in _SIZES.items()},
        "activation_function": "gelu" if config.exact_gelu else "gelu_new",
        "layer_norm_epsilon": NORM_EPSILON,
        "initializer_range": INIT_STD,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "tie_word_embeddings": config.tie_weights,
        "qkv_bias": config.qkv_bias,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "dtype": "float32",
    }
    if labels:
        settings["id2label"] = {str(i): label for i, label in enumerate(labels)}
        settings["label2id"] = {label: i for i, label in enumerate(labels)}
    files.write_json(path, settings)


def ends_of_text(path: Path) -> set[int]:
    """End-of-text ids that a config names; none without a config. Raises `GptmillError` when it can't be read."""
    try:
        ends = files.read_json(path).get("eos_token_id")
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, AttributeError) as error:
        raise GptmillError(f"{path} is not readable ({error}): get it again") from None
    return {end for end in (ends if isinstance(ends, list) else [ends]) if type(end) is int}


def read(path: Path) -> tuple[GPTConfig, dict[str, Any]]:
    """A GPT-2's config and its file's settings. Raises `GptmillError` with all that is invalid or unsupported."""
    try:
        settings = files.read_json(path)
    except FileNotFoundError:
        raise GptmillError(f"there is no model in {path.parent}: run `make run` (or `dvc repro`) first") from None
    except (OSError, ValueError) as error:
        raise GptmillError(f"{path} is not a GPT-2 config ({error})") from None
    if not isinstance(settings, dict):
        raise GptmillError(f"{path} is not a GPT-2 config: it is not a JSON object")
    sizes = {key: settings.get(key) for key in _SIZES}
    problems = size_problems(sizes)
    if not problems and sizes["n_embd"] % sizes["n_head"]:
        problems.append(f"n_embd ({sizes['n_embd']}) is not a multiple of n_head ({sizes['n_head']})")
    problems += [
        f"{key} is {short_repr(settings[key])}; gptmill builds GPT-2 with {' or '.join(map(repr, known))}"
        for key, known in _BUILT.items()
        if key in settings and settings[key] not in known
    ]
    if settings.get("n_inner") not in (None, 4 * (sizes["n_embd"] if type(sizes["n_embd"]) is int else 0)):
        problems.append(f"n_inner is {short_repr(settings['n_inner'])}; gptmill builds GPT-2 with 4 * n_embd")
    problems += [
        f"{key} is {short_repr(settings[key])}, neither true nor false"
        for key in ("qkv_bias", "tie_word_embeddings")
        if type(settings.get(key, True)) is not bool
    ]
    dropout = settings.get("resid_pdrop", 0.1)
    problems += dropout_problems({"resid_pdrop": dropout})
    if problems:
        raise GptmillError(f"{path} is not a GPT-2 config that gptmill can build:\n" + listing(problems))
    config = GPTConfig(
        **{ours: sizes[key] for key, ours in _SIZES.items()},
        dropout=dropout,
        qkv_bias=settings.get("qkv_bias", True),
        tie_weights=settings.get("tie_word_embeddings", True),
        exact_gelu=settings.get("activation_function") == "gelu",
    )
    return config, settings
