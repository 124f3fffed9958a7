"""Infer a model's config from its tensors' names and shapes and from the config file, which must agree."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gptmill.config.schema import GPT2_CONTEXT_LENGTH, GPT2_SIZES, GPT2_VOCAB_SIZE
from gptmill.core import files
from gptmill.core.errors import GptmillError, listing
from gptmill.model import hf_config, tensor_names
from gptmill.model.gpt import GPTConfig
from gptmill.model.tensor_files import TensorSpec
from gptmill.model.tensor_names import BOOK, HUGGINGFACE, NANOGPT, OPENAI, Convention, Renamed

# What OpenAI's hparams.json, the book's config and nanoGPT's arguments call the fields of `GPTConfig`.
_KEYS = {
    "n_layers": ("n_layer", "n_layers"),
    "n_heads": ("n_head", "n_heads"),
    "d_model": ("n_embd", "emb_dim"),
    "vocab_size": ("n_vocab", "vocab_size"),
    "context_length": ("n_ctx", "n_positions", "context_length", "block_size"),
}
_DROPOUT = ("resid_pdrop", "drop_rate", "dropout")
_BOOK_DROPOUT, _MOST_HEADS = 0.1, 64


def sizes_of(config: GPTConfig) -> dict[str, int]:
    return {key: getattr(config, key) for key in _KEYS}


def read_config(folder: Path, convention: Convention) -> tuple[dict[str, Any], dict[str, int]]:
    """All settings of the config next to the weights, and its sizes under our names. Empty without a config."""
    if convention is HUGGINGFACE and (folder / hf_config.NAME).exists():
        config, settings = hf_config.read(folder / hf_config.NAME)
        return settings, sizes_of(config)
    for path in (folder / "hparams.json", folder / "config.json"):
        if path.exists():
            try:
                settings = files.read_json(path)
                if not isinstance(settings, dict):
                    raise TypeError("it holds no object")
            except (OSError, ValueError, TypeError) as error:
                raise GptmillError(f"{path} is not readable ({error}): get it again") from None
            return settings, stated_sizes(settings, str(path))
    return {}, {}


def stated_sizes(settings: Mapping[str, Any], where: str) -> dict[str, int]:
    """The sizes in a config, under our names. Raises `GptmillError` that lists those that no model has."""
    sizes = {ours: settings[key] for ours, keys in _KEYS.items() for key in keys if key in settings}
    dropouts = {key: settings[key] for key in _DROPOUT if key in settings}
    if problems := hf_config.size_problems(sizes) + hf_config.dropout_problems(dropouts):
        raise GptmillError(f"{where} is not valid:\n" + listing(problems))
    return sizes


def infer(
    tensors: Renamed,
    convention: Convention,
    stated: Mapping[str, int],
    settings: Mapping[str, Any],
    notes: list[str],
    path: Path,
) -> GPTConfig:
    """The config that the tensors and the `stated` sizes agree on; adds to `notes`. Else raises `GptmillError`."""
    sizes = {**_sizes(tensors, convention), **stated}
    if missing := [key for key in ("vocab_size", "d_model", "context_length") if not sizes[key]]:
        names = ", ".join(missing)
        raise GptmillError(f"{path} has no embedding tables of a valid shape, so {names} are not known: get it again")
    if not hf_config.is_size("n_layers", sizes["n_layers"]):
        raise GptmillError(f"{path} names a block {sizes['n_layers'] - 1:,}: no GPT-2 has so many")
    unsupported = unsupported_kind(tensors.specs, convention.head, sizes["vocab_size"])
    if "n_heads" not in sizes:
        if unsupported:
            raise GptmillError(f"{path} holds no GPT-2: {unsupported}")
        sizes["n_heads"] = _assume_heads(sizes["n_layers"], sizes["d_model"], convention, notes, path)
    if sizes["d_model"] % sizes["n_heads"]:
        possible = _possible_heads(sizes["d_model"])
        raise GptmillError(f"{path}: {sizes['n_heads']} heads do not divide the width {sizes['d_model']}; {possible}")
    own_head = convention.head in tensors.specs
    config = GPTConfig(
        **sizes,
        dropout=float(next((settings[key] for key in _DROPOUT if key in settings), _BOOK_DROPOUT)),
        qkv_bias=_has_qkv_bias(tensors, convention, sizes["n_layers"], settings),
        tie_weights=not own_head and convention.name != BOOK.name and settings.get("tie_word_embeddings", True),
        exact_gelu=settings.get("activation_function", "gelu" if convention is NANOGPT else "") == "gelu",
    )
    head = {} if config.tie_weights else {convention.head: (config.vocab_size, config.d_model)}
    if convention is NANOGPT:
        _fill_nanogpt_biases(tensors, config, notes)
    if problems := tensor_names.mismatches(convention, tensors.specs, config, head):
        raise GptmillError(
            f"the weights in {path} make no model of {config.n_layers} layers, width {config.d_model}, "
            f"vocabulary {config.vocab_size:,} and context {config.context_length:,}, as their config or shapes say:\n"
            + (f"{unsupported}\n" if unsupported else "")
            + listing(problems)
        )
    tied = tensor_names.is_tied(tensors, convention)
    if settings.get("tie_word_embeddings") is True and not tied:
        notes.append(
            f"{convention.head} is not the token embedding, though the config says that they are tied: both are saved"
        )
    name, heads = _published(config.n_layers, config.d_model)
    tables = (config.vocab_size, config.context_length)
    if name and heads != config.n_heads and tables == (GPT2_VOCAB_SIZE, GPT2_CONTEXT_LENGTH):
        notes.append(
            f"{config.n_heads} heads, where {name}, of the same sizes, has {heads}: weights do not show a wrong number"
        )
    return replace(config, tie_weights=tied)


def unsupported_kind(specs: Mapping[str, TensorSpec], head: str | None = None, vocab_size: int = 0) -> str:
    """What a file holds instead of a language model, when its names show it, and what to do then."""
    if adapters := [name for name in specs if re.search(r"(^|[._])lora[._]", name)]:
        return (
            f"it has LoRA adapters ({adapters[0]}), and weights do not say how their product is scaled: "
            "merge them into the weights where the model was trained, then save those"
        )
    heads = [name for name in (head, "score.weight", "classifier.weight") if name in specs]
    if heads and len(shape := specs[heads[0]].shape) == 2 and (heads[0] != head or shape[0] < vocab_size):
        return (
            f"it is a classifier ({heads[0]} has {shape[0]} classes), and weights import takes language models: "
            "import the model that it was tuned from, and let gptmill tune it"
        )
    return ""


def _sizes(tensors: Renamed, convention: Convention) -> dict[str, int]:
    """What the tensors' names and shapes say; 0 where they say nothing."""
    token, position = (place.theirs[0] for place in list(tensor_names.places(convention, 0))[:2])
    shapes = [tensors.specs[name].shape if name in tensors.specs else () for name in (token, position)]
    (vocab_size, d_model), (context_length, _) = (shape if len(shape) == 2 else (0, 0) for shape in shapes)
    block = re.compile(re.escape(convention.block).replace(r"\{i\}", r"(\d+)"))
    blocks = [int(match[1]) for name in tensors.specs if (match := block.match(name))]
    n_layers = max(blocks, default=0) + 1
    return {"vocab_size": vocab_size, "d_model": d_model, "context_length": context_length, "n_layers": n_layers}


def _has_qkv_bias(tensors: Renamed, convention: Convention, n_layers: int, settings: Mapping[str, Any]) -> bool:
    """The book's and nanoGPT's files leave out absent biases; the others always have them, ours as zeros."""
    if convention in (HUGGINGFACE, OPENAI):
        return bool(settings.get("qkv_bias", True))
    places = (
        place for place in tensor_names.places(convention, n_layers) if place.ours.endswith(tensor_names.QKV_BIAS)
    )
    return any(name in tensors.specs for place in places for name in place.theirs)


def _fill_nanogpt_biases(tensors: Renamed, config: GPTConfig, notes: list[str]) -> None:
    """nanoGPT's `bias=False` leaves out every bias, of norms too, the same as zeros. A file with some is not whole."""
    if config.exact_gelu:
        notes.append(
            "GELU is the exact one, as in nanoGPT today; a model of older code, with the tanh form, differs slightly"
        )
    if not any(name.endswith(".bias") for name in tensors.specs):
        shapes = tensor_names.backbone_shapes(config)
        biases = [place for place in tensor_names.places(NANOGPT, config.n_layers) if place.ours.endswith(".bias")]
        tensors.add_zeros({place.theirs[0]: shapes[place.ours] for place in biases if place.ours in shapes})
        notes.append("no biases: zeros stand for them")


def _assume_heads(n_layers: int, d_model: int, convention: Convention, notes: list[str], path: Path) -> int:
    """The number of heads of the published GPT-2 with so many layers of that width, for a file that does not say it.

    Shapes do not depend on the number, but with a wrong one the model writes nonsense: no other is assumed.
    """
    if convention is OPENAI:  # its own file says; a file that does not is not OpenAI's
        raise GptmillError(f"{path} has no number of heads: hparams.json should say n_head; {_possible_heads(d_model)}")
    name, heads = _published(n_layers, d_model)
    if not name:
        raise GptmillError(
            f"{path} does not say how many heads its model has, and {n_layers} layers of width {d_model} are not a "
            f"published size: give --n-heads, as in the training's config; {_possible_heads(d_model)}"
        )
    notes.append(
        f"{heads} heads assumed, as {name} has; if it was trained with another number, import it with --n-heads"
    )
    return heads


def _published(n_layers: int, d_model: int) -> tuple[str, int]:
    """Name and heads of the published GPT-2 of these sizes; ("", 0) when there is none."""
    named = (
        (name, heads) for name, (layers, heads, width) in GPT2_SIZES.items() if (layers, width) == (n_layers, d_model)
    )
    return next(named, ("", 0))


def _possible_heads(d_model: int) -> str:
    fit = [str(n) for n in range(1, min(d_model, _MOST_HEADS) + 1) if d_model % n == 0]
    return f"possible are {', '.join(fit)}"
