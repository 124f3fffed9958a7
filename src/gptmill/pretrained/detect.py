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

from gptmill.config.schema import GPT2_CONTEXT_LENGTH, GPT2_SIZES, GPT2_VOCAB_SIZE
from gptmill.core import files
from gptmill.core.errors import GptmillError, listing
from gptmill.model import hf_config, tensor_names
from gptmill.model.folder import write_model
from gptmill.model.gpt import GPTConfig
from gptmill.model.size import parameters
from gptmill.model.tensor_files import Checkpoint, Safetensors, TensorSpec, TorchFile
from gptmill.model.tensor_names import BOOK, BOOK_FUSED, HUGGINGFACE, NANOGPT, OPENAI, Convention, Renamed, bare
from gptmill.pretrained.tensorflow_checkpoint import TensorFlowCheckpoint

# What OpenAI's hparams.json, the book's config and nanoGPT's arguments call what `GPTConfig` has.
_CLAIMS = {
    "n_layers": ("n_layer", "n_layers"),
    "n_heads": ("n_head", "n_heads"),
    "d_model": ("n_embd", "emb_dim"),
    "vocab_size": ("n_vocab", "vocab_size"),
    "context_length": ("n_ctx", "n_positions", "context_length", "block_size"),
}
_DROPOUT = ("resid_pdrop", "drop_rate", "dropout")
_BOOK_DROPOUT, _MOST_HEADS = 0.1, 64


@dataclass(frozen=True)
class CheckpointInfo:
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
            f"  parameters  {parameters(config):,} in {dtypes}"
            + ("" if dtypes == "float32" else ", written as float32"),
            f"  output      {'tied to the token embedding' if config.tie_weights else 'a matrix of its own (not tied)'}; "
            f"query, key and value {'with' if config.qkv_bias else 'without'} bias",
        ]
        return "\n".join(lines + [f"  note        {note}" for note in self.notes])


def size_name(config: GPTConfig) -> str:
    """The published GPT-2 that has these sizes, if one has."""
    for name, (layers, heads, width) in GPT2_SIZES.items():
        if (config.n_layers, config.n_heads, config.d_model, config.vocab_size) == (
            layers,
            heads,
            width,
            GPT2_VOCAB_SIZE,
        ):
            return name
    return "a GPT-2 of its own size"


def detect_format(path: Path, n_heads: int | None = None, config: GPTConfig | None = None) -> CheckpointInfo:
    """What is at `path`: a folder or a file. `n_heads`: for files that do not say it; `config`: where the source is known to have it.

    Raises `GptmillError` that lists everything that keeps it from being a model. The tensors' own bytes are read later.
    """
    checkpoint = _open(path)
    convention = _convention(checkpoint, path)
    tensors = Renamed(checkpoint, convention, path)
    notes = [f"{len(tensors.buffers)} causal masks left out: they are no weights"] if tensors.buffers else []
    if tensors.wrapped:
        notes.append("the names of wrappers (torch.compile, DDP, FSDP, Lightning) are left out of the tensors' names")
    if own := getattr(checkpoint, "settings", None):
        settings, claims = own, _claims(own, f"model_args in {path}")
    else:
        settings, claims = _beside(path, convention)
    if config is not None:
        claims = {key: getattr(config, key) for key in _CLAIMS}
    elif n_heads is not None:
        if claims.get("n_heads", n_heads) != n_heads:
            raise GptmillError(
                f"--n-heads {n_heads} contradicts the config beside {path}, which says {claims['n_heads']}: leave it out"
            )
        claims["n_heads"] = n_heads
    built = _build(tensors, convention, claims, settings, notes, path)
    return CheckpointInfo(path, convention, tensors, built, settings, tuple(notes))


def write(found: CheckpointInfo, folder: Path, end_of_text: int | None = None) -> None:
    """Write the config and the weights of what was found into a folder that exists."""
    places = {place.ours: place for place in tensor_names.places(found.convention, found.config.n_layers)}

    def read(name: str) -> torch.Tensor:
        if name == tensor_names.HEAD:
            return found.tensors.read(found.convention.head)
        return tensor_names.to_ours(places[name], found.convention, found.tensors.read)

    write_model(folder, found.config, read, end_of_text)


def _open(path: Path) -> Checkpoint:
    if path.is_dir():
        if (path / "checkpoint").is_file() or list(path.glob("*.ckpt*.index")):
            return TensorFlowCheckpoint(path)
        usual = (
            "model.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
        )
        found = [path / name for name in usual if (path / name).is_file()][:1]
        found = found or sorted(
            file for file in path.iterdir() if file.suffix in (".safetensors", ".pth", ".pt", ".bin")
        )
        if len(found) != 1:
            what = (
                f"{len(found)} files of weights ({', '.join(file.name for file in found)})" if found else "no weights"
            )
            raise GptmillError(
                f"{path} has {what}: name a file, or a folder with a model.safetensors, a TensorFlow checkpoint or a .pth"
            )
        return _open(found[0])
    if path.with_name(f"{path.name}.index").is_file():  # TensorFlow names a checkpoint by what its files have in common
        return TensorFlowCheckpoint(path.with_name(f"{path.name}.index"))
    if not path.exists():
        raise GptmillError(f"{path} is not here")
    files.refuse_special(path)
    name = path.name.removesuffix(".index.json")
    if name.endswith(".safetensors"):
        return Safetensors(path)
    if name.endswith(".index"):
        return TensorFlowCheckpoint(path)
    if name.endswith((".pth", ".pt", ".bin")):
        return TorchFile(path)
    raise GptmillError(
        f"{path}: gptmill reads .safetensors, .pth, .pt, .bin and TensorFlow's .index, alone or in a folder"
    )


def _convention(checkpoint: Checkpoint, path: Path) -> Convention:
    specs = {bare(name): spec for name, spec in checkpoint.specs.items()}
    if any(name.startswith(("tok_emb.", "trf_blocks.")) for name in specs):
        return BOOK_FUSED if any(".att.qkv." in name for name in specs) else BOOK
    if any(name.startswith("model/") for name in specs):
        return OPENAI
    if any(re.match(r"(transformer\.)?(wte\.|h\.\d+\.)", name) for name in specs):
        # One matrix of a block is square, so it can't tell; query, key and value below one another can.
        fused = next((spec.shape for name, spec in specs.items() if name.endswith(".attn.c_attn.weight")), ())
        return NANOGPT if len(fused) == 2 and fused[0] == 3 * fused[1] else HUGGINGFACE
    what = _other_kind(specs) or f"its tensors have names like {', '.join(list(specs)[:3]) or 'nothing at all'}"
    raise GptmillError(f"{path} holds no GPT-2: {what}")


def _other_kind(specs: Mapping[str, TensorSpec], head: str | None = None, vocab_size: int = 0) -> str:
    """What a file holds that is no language model, when its names show it, and what to do then."""
    if adapters := [name for name in specs if re.search(r"(^|[._])lora[._]", name)]:
        return (
            f"it has LoRA adapters ({adapters[0]}), and no file of weights says by what their product is scaled: merge them into the "
            "weights where the model was trained, then save those"
        )
    heads = [name for name in (head, "score.weight", "classifier.weight") if name in specs]
    if heads and len(shape := specs[heads[0]].shape) == 2 and (heads[0] != head or shape[0] < vocab_size):
        return (
            f"it is a classifier ({heads[0]} has {shape[0]} classes), and weights import takes language models: import the model that it "
            "was tuned from, and let gptmill tune it"
        )
    return ""


def _beside(path: Path, convention: Convention) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the config beside the weights says, as it is and under our names. Empty when there is none."""
    folder = path if path.is_dir() else path.parent
    if convention is HUGGINGFACE and (folder / hf_config.NAME).exists():
        config, settings = hf_config.read(folder / hf_config.NAME)
        return settings, {key: getattr(config, key) for key in _CLAIMS}
    for name in ("hparams.json", "config.json"):
        if (folder / name).exists():
            try:
                settings = files.read_json(folder / name)
                if not isinstance(settings, dict):
                    raise TypeError("it holds no object")
            except (OSError, ValueError, TypeError) as error:
                raise GptmillError(f"{folder / name} is not readable ({error}): get it again") from None
            return settings, _claims(settings, str(folder / name))
    return {}, {}


def _claims(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The sizes in a config, under our names. Raises `GptmillError` that lists those that no model has."""
    claims = {ours: settings[key] for ours, keys in _CLAIMS.items() for key in keys if key in settings}
    problems = [
        f"{key} is {hf_config.odd(claim)}, {hf_config.NO_SIZE}"
        for key, claim in claims.items()
        if not hf_config.is_size(key, claim)
    ]
    problems += [
        f"{key} is {hf_config.odd(settings[key])}, {hf_config.NO_DROPOUT}"
        for key in _DROPOUT
        if key in settings and not hf_config.is_dropout(settings[key])
    ]
    if problems:
        raise GptmillError(f"{where} is not valid:\n" + listing(problems))
    return claims


def _build(
    tensors: Renamed,
    convention: Convention,
    claims: Mapping[str, Any],
    settings: Mapping[str, Any],
    notes: list[str],
    path: Path,
) -> GPTConfig:
    """The config that the tensors and what was claimed of them agree on. Raises `GptmillError` that lists where they do not."""
    sizes = {**_sizes(tensors, convention), **claims}
    if lacking := [key for key in ("vocab_size", "d_model", "context_length") if not sizes[key]]:
        raise GptmillError(
            f"{path} has no embedding tables, or tables of no shape, so that {', '.join(lacking)} are not known: get it again"
        )
    if not hf_config.is_size("n_layers", sizes["n_layers"]):
        raise GptmillError(f"{path} names a block {sizes['n_layers'] - 1:,}: no GPT-2 has so many")
    other_kind = _other_kind(tensors.specs, convention.head, sizes["vocab_size"])
    if "n_heads" not in sizes:
        if other_kind:
            raise GptmillError(f"{path} holds no GPT-2: {other_kind}")
        if convention is OPENAI:  # its own file says; a file that does not is not OpenAI's
            raise GptmillError(
                f"{path} has no number of heads: hparams.json should say n_head; {_heads_that_fit(sizes['d_model'])}"
            )
        sizes["n_heads"] = _published_heads(sizes, notes, path)
    if sizes["d_model"] % sizes["n_heads"]:
        fit = _heads_that_fit(sizes["d_model"])
        raise GptmillError(f"{path}: {sizes['n_heads']} heads do not divide the width {sizes['d_model']}; {fit}")
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
        _nanogpt(tensors, config, notes)
    if problems := tensor_names.mismatches(convention, tensors.specs, config, head):
        what = f"{other_kind}\n" if other_kind else ""
        raise GptmillError(f"the weights in {path} make no model of {_told(config)}:\n{what}{listing(problems)}")
    tied = tensor_names.is_tied(tensors, convention)
    if settings.get("tie_word_embeddings") is True and not tied:
        notes.append(
            f"{convention.head} is not the token embedding, though the config says that they are tied: both are kept"
        )
    for name, (layers, heads, width) in GPT2_SIZES.items():
        same = (layers, width, GPT2_VOCAB_SIZE, GPT2_CONTEXT_LENGTH)
        if (
            same == (config.n_layers, config.d_model, config.vocab_size, config.context_length)
            and heads != config.n_heads
        ):
            notes.append(
                f"{config.n_heads} heads, where {name}, of the same sizes, has {heads}: weights do not show a wrong number"
            )
    return replace(config, tie_weights=tied)


def _sizes(tensors: Renamed, convention: Convention) -> dict[str, int]:
    """What the tensors' names and shapes say; 0 where they say nothing."""
    token, position = (place.theirs[0] for place in list(tensor_names.places(convention, 0))[:2])
    shapes = [tensors.specs[name].shape if name in tensors.specs else () for name in (token, position)]
    (vocab_size, d_model), (context_length, _) = (shape if len(shape) == 2 else (0, 0) for shape in shapes)
    block = re.compile(re.escape(convention.block).replace(r"\{i\}", r"(\d+)"))
    blocks = [int(match[1]) for name in tensors.specs if (match := block.match(name))]
    return {
        "vocab_size": vocab_size,
        "d_model": d_model,
        "context_length": context_length,
        "n_layers": max(blocks, default=0) + 1,
    }


def _has_qkv_bias(tensors: Renamed, convention: Convention, n_layers: int, settings: Mapping[str, Any]) -> bool:
    """The book's and nanoGPT's files leave the biases out where there are none; the others always have them, ours as zeros."""
    if convention in (HUGGINGFACE, OPENAI):
        return bool(settings.get("qkv_bias", True))
    biases = (
        name
        for place in tensor_names.places(convention, n_layers)
        if place.ours.endswith(tensor_names.QKV_BIAS)
        for name in place.theirs
    )
    return any(name in tensors.specs for name in biases)


def _nanogpt(tensors: Renamed, config: GPTConfig, notes: list[str]) -> None:
    """nanoGPT's `bias=False` leaves out every bias, those of the norms too: the same as zeros. A file without some of them is not whole."""
    if config.exact_gelu:
        notes.append(
            "GELU is the exact one, as in nanoGPT's code today; a model of its older code, with the tanh form, differs slightly"
        )
    if not any(name.endswith(".bias") for name in tensors.specs):
        shapes = tensor_names.trunk_shapes(config)
        biases = [place for place in tensor_names.places(NANOGPT, config.n_layers) if place.ours.endswith(".bias")]
        tensors.add_zeros({place.theirs[0]: shapes[place.ours] for place in biases if place.ours in shapes})
        notes.append("no biases: zeros stand for them")


def _told(config: GPTConfig) -> str:
    return (
        f"{config.n_layers} layers, width {config.d_model}, vocabulary {config.vocab_size:,} and context {config.context_length:,}, "
        "which the config beside them or their own shapes say"
    )


def _published_heads(sizes: Mapping[str, int], notes: list[str], path: Path) -> int:
    """The number of heads of the published GPT-2 with that many layers of that width, for a file that does not say it.

    The weights are the same whatever the number, but a wrong one loads and then talks nonsense: so no other number is assumed.
    """
    for name, (layers, heads, width) in GPT2_SIZES.items():
        if (layers, width) == (sizes["n_layers"], sizes["d_model"]):
            notes.append(
                f"{heads} heads assumed, as {name} has; if it was trained with another number, import it with --n-heads"
            )
            return heads
    raise GptmillError(
        f"{path} does not say how many heads its model has, and {sizes['n_layers']} layers of width {sizes['d_model']} are none of the "
        f"published sizes: give --n-heads, as in the config that the model was trained with; {_heads_that_fit(sizes['d_model'])}"
    )


def _heads_that_fit(d_model: int) -> str:
    fit = [str(n) for n in range(1, min(d_model, _MOST_HEADS) + 1) if d_model % n == 0]
    return f"possible are {', '.join(fit)}"
