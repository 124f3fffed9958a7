"""Weights from where people have them: whose names they carry and what model they make is found out, checked whole, then written.

What a file is (safetensors, torch, TensorFlow) and whose names are in it (Hugging Face's, OpenAI's, the book's) are told apart from each
other, so the book's names in a safetensors file work too. Everything is checked before anything is written; the tensors then pass through
one at a time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gptmill import files
from gptmill.errors import GptmillError, listing
from gptmill.model import hub_config, weights
from gptmill.model.checkpoints import Checkpoint, Safetensors, TorchFile
from gptmill.model.gpt import GPTConfig
from gptmill.model.size import parameters
from gptmill.model.tensorflow_checkpoint import TensorFlowCheckpoint
from gptmill.model.weights import BOOK, HUGGINGFACE, OPENAI, Convention, Renamed
from gptmill.params import GPT2_CONTEXT_LENGTH, GPT2_SIZES, GPT2_VOCAB_SIZE

# What OpenAI's hparams.json and the book's config call what `GPTConfig` has.
_CLAIMS = {
    "n_layers": ("n_layer", "n_layers"),
    "n_heads": ("n_head", "n_heads"),
    "d_model": ("n_embd", "emb_dim"),
    "vocab_size": ("n_vocab", "vocab_size"),
    "context_length": ("n_ctx", "n_positions", "context_length"),
}
_DROPOUT = ("resid_pdrop", "drop_rate")
_BOOK_DROPOUT, _HEAD_WIDTH = 0.1, 64
_HEADS_OF_A_SMALL_MODEL = 4


@dataclass(frozen=True)
class Found:
    """A source that makes a model, checked but for the bytes of its tensors."""

    path: Path
    convention: Convention
    tensors: Renamed
    config: GPTConfig
    settings: dict[str, Any]  # all that the config beside the weights says
    notes: tuple[str, ...]  # what was assumed or left out

    def describe(self) -> str:
        """For people, a few lines."""
        config = self.config
        dtypes = ", ".join(sorted({str(spec.dtype).removeprefix("torch.") for spec in self.tensors.specs.values()}))
        prefix = f", with the prefix {self.convention.prefix}" if self.tensors.prefixed else ""
        lines = [
            f"{self.path}: {self.tensors.container} with {self.convention.title} names{prefix}",
            f"  model       {size_name(config)}: {config.n_layers} layers, {config.n_heads} heads, width {config.d_model}, "
            f"vocabulary {config.vocab_size:,}, context {config.context_length:,}",
            f"  parameters  {parameters(config):,} in {dtypes}" + ("" if dtypes == "float32" else ", written as float32"),
            f"  output      {'tied to the token embedding' if config.tie_weights else 'a matrix of its own (not tied)'}; "
            f"query, key and value {'with' if config.qkv_bias else 'without'} bias",
        ]
        return "\n".join(lines + [f"  note        {note}" for note in self.notes])


def size_name(config: GPTConfig) -> str:
    """The published GPT-2 that has these sizes, if one has."""
    for name, (layers, heads, width) in GPT2_SIZES.items():
        if (config.n_layers, config.n_heads, config.d_model, config.vocab_size) == (layers, heads, width, GPT2_VOCAB_SIZE):
            return name
    return "a GPT-2 of its own size"


def examine(path: Path, n_heads: int | None = None, config: GPTConfig | None = None) -> Found:
    """What is at `path`: a folder or a file. `n_heads`: for files that do not say it; `config`: where the source is known to have it.

    Raises `GptmillError` that lists everything that keeps it from being a model. The tensors' own bytes are read later.
    """
    checkpoint = _open(path)
    convention = _convention(checkpoint, path)
    tensors = Renamed(checkpoint, convention)
    notes = [f"{len(tensors.buffers)} causal masks left out: they are no weights"] if tensors.buffers else []
    settings, claims = _beside(path, convention)
    if config is not None:
        claims = {key: getattr(config, key) for key in _CLAIMS}
    elif n_heads is not None:
        if claims.get("n_heads", n_heads) != n_heads:
            raise GptmillError(f"--n-heads {n_heads} contradicts the config beside {path}, which says {claims['n_heads']}: leave it out")
        claims["n_heads"] = n_heads
    built = _build(tensors, convention, claims, settings, notes, path)
    return Found(path, convention, tensors, built, settings, tuple(notes))


def write(found: Found, folder: Path, end_of_text: int | None = None) -> None:
    """Write the config and the weights of what was found into a folder that exists."""
    places = {place.ours: place for place in weights.places(found.convention, found.config.n_layers)}

    def read(name: str) -> torch.Tensor:
        if name == weights.HEAD:
            return found.tensors.read(found.convention.head)
        return weights.to_ours(places[name], found.convention, found.tensors.read)

    weights.write(folder, found.config, read, end_of_text)


def _open(path: Path) -> Checkpoint:
    if path.is_dir():
        if (path / "checkpoint").is_file() or list(path.glob("*.ckpt*.index")):
            return TensorFlowCheckpoint(path)
        usual = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
        found = [path / name for name in usual if (path / name).is_file()][:1]
        found = found or sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".pth", ".pt", ".bin"))
        if len(found) != 1:
            what = f"{len(found)} files of weights ({', '.join(file.name for file in found)})" if found else "no weights"
            raise GptmillError(f"{path} has {what}: name a file, or a folder with a model.safetensors, a TensorFlow checkpoint or a .pth")
        return _open(found[0])
    if path.with_name(f"{path.name}.index").is_file():  # TensorFlow names a checkpoint by what its files have in common
        return TensorFlowCheckpoint(path.with_name(f"{path.name}.index"))
    if not path.is_file():
        raise GptmillError(f"{path} is not here")
    name = path.name.removesuffix(".index.json")
    if name.endswith(".safetensors"):
        return Safetensors(path)
    if name.endswith(".index"):
        return TensorFlowCheckpoint(path)
    if name.endswith((".pth", ".pt", ".bin")):
        return TorchFile(path)
    raise GptmillError(f"{path}: gptmill reads .safetensors, .pth, .pt, .bin and TensorFlow's .index, alone or in a folder")


def _convention(checkpoint: Checkpoint, path: Path) -> Convention:
    names = list(checkpoint.specs)
    if any(name.startswith(("tok_emb.", "trf_blocks.")) for name in names):
        return BOOK
    if any(name.startswith("model/") for name in names):
        return OPENAI
    if any(re.match(r"(transformer\.)?(wte\.|h\.\d+\.)", name) for name in names):
        return HUGGINGFACE
    raise GptmillError(f"{path} holds no GPT-2: its tensors have names like {', '.join(names[:3]) or 'nothing at all'}")


def _beside(path: Path, convention: Convention) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the config beside the weights says, as it is and under our names. Empty when there is none."""
    folder = path if path.is_dir() else path.parent
    if convention is HUGGINGFACE and (folder / hub_config.NAME).is_file():
        config, settings = hub_config.read(folder / hub_config.NAME)
        return settings, {key: getattr(config, key) for key in _CLAIMS}
    for name in ("hparams.json", "config.json"):
        if (folder / name).is_file():
            try:
                settings = files.read_json(folder / name)
                if not isinstance(settings, dict):
                    raise TypeError("it holds no object")
                claims = {ours: settings[key] for ours, keys in _CLAIMS.items() for key in keys if key in settings}
            except (OSError, ValueError, TypeError) as error:
                raise GptmillError(f"{folder / name} is not readable ({error}): get it again") from None
            problems = [f"{key} is {claims[key]!r}, {hub_config.NO_SIZE}" for key in claims if not hub_config.is_size(key, claims[key])]
            problems += [
                f"{key} is {settings[key]!r}, {hub_config.NO_DROPOUT}"
                for key in _DROPOUT
                if key in settings and not hub_config.is_dropout(settings[key])
            ]
            if problems:
                raise GptmillError(f"{folder / name} is not in order:\n" + listing(problems))
            return settings, claims
    return {}, {}


def _build(
    tensors: Renamed, convention: Convention, claims: Mapping[str, Any], settings: Mapping[str, Any], notes: list[str], path: Path
) -> GPTConfig:
    """The config that the tensors and what was claimed of them agree on. Raises `GptmillError` that lists where they do not."""
    sizes = {**_sizes(tensors, convention), **claims}
    if lacking := [key for key in ("vocab_size", "d_model", "context_length") if not sizes[key]]:
        raise GptmillError(
            f"{path} has no embedding tables, or tables of no shape, so that {', '.join(lacking)} are not known: get it again"
        )
    if not hub_config.is_size("n_layers", sizes["n_layers"]):
        raise GptmillError(f"{path} names a block {sizes['n_layers'] - 1:,}: no GPT-2 has so many")
    if "n_heads" not in sizes:
        if convention is OPENAI:  # its own file says; a file that does not is not OpenAI's
            raise GptmillError(f"{path} has no number of heads: hparams.json should say n_head; {_heads_that_fit(sizes['d_model'])}")
        sizes["n_heads"] = _assumed_heads(sizes["d_model"], notes, path)
    if sizes["d_model"] % sizes["n_heads"]:
        fit = _heads_that_fit(sizes["d_model"])
        raise GptmillError(f"{path}: {sizes['n_heads']} heads do not divide the width {sizes['d_model']}; {fit}")
    own_head = convention.head in tensors.specs
    config = GPTConfig(
        **sizes,
        dropout=float(next((settings[key] for key in _DROPOUT if key in settings), _BOOK_DROPOUT)),
        qkv_bias=_has_qkv_bias(tensors, convention, sizes["n_layers"], settings),
        tie_weights=not own_head and convention is not BOOK and settings.get("tie_word_embeddings", True),
    )
    head = {} if config.tie_weights else {convention.head: (config.vocab_size, config.d_model)}
    if problems := weights.mismatches(convention, tensors.specs, config, head):
        raise GptmillError(f"the weights in {path} make no model of {_told(config)}:\n" + listing(problems))
    tied = weights.is_tied(tensors, convention)
    if settings.get("tie_word_embeddings") is True and not tied:
        notes.append(f"{convention.head} is not the token embedding, though the config says that they are tied: both are kept")
    for name, (layers, heads, width) in GPT2_SIZES.items():
        same = (layers, width, GPT2_VOCAB_SIZE, GPT2_CONTEXT_LENGTH)
        if same == (config.n_layers, config.d_model, config.vocab_size, config.context_length) and heads != config.n_heads:
            notes.append(f"{config.n_heads} heads, where {name}, of the same sizes, has {heads}: weights do not show a wrong number")
    return replace(config, tie_weights=tied)


def _sizes(tensors: Renamed, convention: Convention) -> dict[str, int]:
    """What the tensors' names and shapes say; 0 where they say nothing."""
    token, position = (place.theirs[0] for place in list(weights.places(convention, 0))[:2])
    shapes = [tensors.specs[name].shape if name in tensors.specs else () for name in (token, position)]
    (vocab_size, d_model), (context_length, _) = (shape if len(shape) == 2 else (0, 0) for shape in shapes)
    block = re.compile(re.escape(convention.block).replace(r"\{i\}", r"(\d+)"))
    blocks = [int(match[1]) for name in tensors.specs if (match := block.match(name))]
    return {"vocab_size": vocab_size, "d_model": d_model, "context_length": context_length, "n_layers": max(blocks, default=0) + 1}


def _has_qkv_bias(tensors: Renamed, convention: Convention, n_layers: int, settings: Mapping[str, Any]) -> bool:
    """The book's files leave the biases out where there are none; the others always have them, ours as zeros."""
    if convention is not BOOK:
        return bool(settings.get("qkv_bias", True))
    biases = (name for place in weights.places(BOOK, n_layers) if place.ours.endswith(weights.QKV_BIAS) for name in place.theirs)
    return any(name in tensors.specs for name in biases)


def _told(config: GPTConfig) -> str:
    return (
        f"{config.n_layers} layers, width {config.d_model}, vocabulary {config.vocab_size:,} and context {config.context_length:,}, "
        "which the config beside them or their own shapes say"
    )


def _assumed_heads(d_model: int, notes: list[str], path: Path) -> int:
    """A number of heads for a file that does not say: heads of 64 channels, as in every GPT-2; four in a width that those do not fill.

    The weights are the same whatever the number, but a wrong one loads and then talks nonsense: so the note says what was assumed.
    """
    heads = d_model // _HEAD_WIDTH if d_model % _HEAD_WIDTH == 0 else _HEADS_OF_A_SMALL_MODEL
    if d_model % heads:
        raise GptmillError(
            f"{path} does not say how many heads its model has: give --n-heads, as in the config that the model was trained with; "
            f"{_heads_that_fit(d_model)}"
        )
    notes.append(f"{heads} heads assumed, the file does not say; if it was trained with another number, import it with --n-heads")
    return heads


def _heads_that_fit(d_model: int) -> str:
    fit = [str(n) for n in range(1, min(d_model, _HEAD_WIDTH) + 1) if d_model % n == 0]
    return f"possible are {', '.join(fit)}"
