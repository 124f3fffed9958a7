"""Names and layouts of GPT-2's tensors in other conventions (Hugging Face, OpenAI, nanoGPT, the book), mapped to ours.

Matrices are (out, in) here and in the book, as in torch's `Linear`; (in, out) at Hugging Face; (1, in, out) at OpenAI.
Only the book has separate matrices for query, key and value.
"""

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gptmill.config import memory
from gptmill.core.errors import GptmillError
from gptmill.model.gpt import Backbone, GPTConfig, shapes_only
from gptmill.model.tensor_files import Checkpoint, TensorSpec, demand_finite


@dataclass(frozen=True)
class Name:
    """A weight's name in each convention. `{part}` is query, key and value, which the others concatenate."""

    ours: str
    huggingface: str
    openai: str
    book: str
    matrix: bool = False


BACKBONE = [
    Name("token_embedding.weight", "wte.weight", "wte", "tok_emb.weight"),
    Name("position_embedding.weight", "wpe.weight", "wpe", "pos_emb.weight"),
    Name("final_norm.weight", "ln_f.weight", "ln_f/g", "final_norm.scale"),
    Name("final_norm.bias", "ln_f.bias", "ln_f/b", "final_norm.shift"),
]
BLOCK = [
    Name("attention_norm.weight", "ln_1.weight", "ln_1/g", "norm1.scale"),
    Name("attention_norm.bias", "ln_1.bias", "ln_1/b", "norm1.shift"),
    Name("attention.qkv.weight", "attn.c_attn.weight", "attn/c_attn/w", "att.W_{part}.weight", matrix=True),
    Name("attention.qkv.bias", "attn.c_attn.bias", "attn/c_attn/b", "att.W_{part}.bias"),
    Name("attention.out_proj.weight", "attn.c_proj.weight", "attn/c_proj/w", "att.out_proj.weight", matrix=True),
    Name("attention.out_proj.bias", "attn.c_proj.bias", "attn/c_proj/b", "att.out_proj.bias"),
    Name("feed_forward_norm.weight", "ln_2.weight", "ln_2/g", "norm2.scale"),
    Name("feed_forward_norm.bias", "ln_2.bias", "ln_2/b", "norm2.shift"),
    Name("feed_forward.up_proj.weight", "mlp.c_fc.weight", "mlp/c_fc/w", "ff.layers.0.weight", matrix=True),
    Name("feed_forward.up_proj.bias", "mlp.c_fc.bias", "mlp/c_fc/b", "ff.layers.0.bias"),
    Name("feed_forward.down_proj.weight", "mlp.c_proj.weight", "mlp/c_proj/w", "ff.layers.2.weight", matrix=True),
    Name("feed_forward.down_proj.bias", "mlp.c_proj.bias", "mlp/c_proj/b", "ff.layers.2.bias"),
]
QKV_BIAS, HEAD = "attention.qkv.bias", "head.weight"


@dataclass(frozen=True)
class Convention:
    """Names and layout of one origin's tensors."""

    name: Literal["huggingface", "openai", "book"]
    title: str
    backbone: str  # prefix of the backbone's names
    block: str  # prefix of block {i}
    head: str | None  # name of an untied output matrix
    prefix: str  # that only some files have
    buffers: tuple[str, ...]  # suffixes of causal masks
    matrix: Callable[[Tensor], Tensor]  # our layout to theirs; its own inverse
    axes: int = 2  # of a matrix
    spelling: tuple[tuple[str, str], ...] = ()  # (in the table, here) parts of names


_MASKS = (".attn.bias", ".attn.masked_bias")
HUGGINGFACE = Convention(
    "huggingface", "Hugging Face", "", "h.{i}.", "lm_head.weight", "transformer.", _MASKS, lambda m: m.mT
)
OPENAI = Convention("openai", "OpenAI", "model/", "model/h{i}/", None, "", (), lambda m: m.mT, axes=3)
BOOK = Convention("book", "book", "", "trf_blocks.{i}.", "out_head.weight", "", (".att.mask",), lambda m: m)
# nanoGPT has Hugging Face's names and torch's layout. The book's bonus chapters have one qkv matrix.
NANOGPT = replace(HUGGINGFACE, title="nanoGPT", matrix=lambda m: m)
BOOK_FUSED = replace(BOOK, spelling=(("att.W_{part}.", "att.qkv."), ("att.out_proj.", "att.proj.")))

# What torch.compile, DDP, FSDP, checkpointing and Lightning add to names.
_WRAPPERS = re.compile(r"(^|(?<=\.))(_orig_mod|_forward_module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PREFIXES = re.compile(r"^((module|model)\.)+")


def bare(name: str) -> str:
    """A tensor's name without those of wrappers."""
    return _PREFIXES.sub("", _WRAPPERS.sub("", name))


@dataclass(frozen=True)
class Place:
    """A weight of our backbone and its tensors in a convention."""

    ours: str
    theirs: tuple[str, ...]  # three for separate query, key and value
    matrix: bool


def places(convention: Convention, n_layers: int) -> Iterator[Place]:
    """Every weight of a backbone, with norms and biases."""
    rows = [(name, "", convention.backbone) for name in BACKBONE]
    rows += [(name, f"blocks.{i}.", convention.block.format(i=i)) for i in range(n_layers) for name in BLOCK]
    for name, ours, theirs in rows:
        full = theirs + getattr(name, convention.name)
        for usual, other in convention.spelling:
            full = full.replace(usual, other)
        parts = ("query", "key", "value") if "{part}" in full else ("",)
        yield Place(ours + name.ours, tuple(full.replace("{part}", part) for part in parts), name.matrix)


def shape_there(place: Place, convention: Convention, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of each of a place's tensors in the convention, from the shape of ours."""
    part = (shape[0] // len(place.theirs), *shape[1:])
    if not place.matrix:
        return part
    return (1,) * (convention.axes - 2) + tuple(convention.matrix(torch.empty(part, device="meta")).shape)


def to_theirs(place: Place, convention: Convention, ours: Tensor) -> list[Tensor]:
    """Our tensor in the convention: one, or query, key and value."""
    parts = list(ours.chunk(len(place.theirs)))
    if not place.matrix:
        return parts
    shape = shape_there(place, convention, ours.shape)
    return [convention.matrix(part).reshape(shape) for part in parts]


def to_ours(place: Place, convention: Convention, read: Callable[[str], Tensor], out: Tensor | None = None) -> Tensor:
    """Our tensor, contiguous float32, from theirs; copied into `out`, if given."""
    parts = [read(name) for name in place.theirs]
    if place.matrix:
        parts = [convention.matrix(part.reshape(part.shape[-2:])) for part in parts]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole.to(torch.float32).contiguous() if out is None else out.copy_(whole)


class Renamed:
    """A checkpoint without wrappers' names, optional prefixes and mask buffers."""

    def __init__(self, checkpoint: Checkpoint, convention: Convention, path: Path) -> None:
        self._checkpoint, self._path = checkpoint, path
        self._names = {}
        for name in checkpoint.specs:
            short = bare(name).removeprefix(convention.prefix)
            if short in self._names:
                raise GptmillError(f"{path} has {short} twice, as {self._names[short]} and as {name}: remove one")
            self._names[short] = name
        self.buffers = [name for name in self._names if name.endswith(convention.buffers)] if convention.buffers else []
        for name in self.buffers:
            del self._names[name]
        self.prefixed = any(short != bare(name) for short, name in self._names.items())
        self.wrapped = any(bare(name) != name for name in self._names.values())
        self.container = checkpoint.container
        self.specs = {short: checkpoint.specs[name] for short, name in self._names.items()}

    def add_zeros(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Add tensors of zeros, for biases that the checkpoint does not have."""
        self.specs |= {name: TensorSpec(tuple(shape), torch.float32) for name, shape in shapes.items()}

    def read(self, name: str) -> Tensor:
        if name not in self._names:
            return torch.zeros(self.specs[name].shape)
        return demand_finite(self._checkpoint.read(self._names[name]), name, self._path)


def backbone_shapes(config: GPTConfig) -> dict[str, torch.Size]:
    """Raises `GptmillError` when this machine's memory can't hold the weights."""
    memory.require_memory(config, config.vocab_size)
    with shapes_only():
        return {name: parameter.shape for name, parameter in Backbone(config).named_parameters()}


def mismatches(
    convention: Convention,
    specs: Mapping[str, TensorSpec],
    config: GPTConfig,
    heads: Mapping[str, tuple[int, ...]],
    optional: Sequence[str] = (),
) -> list[str]:
    """Names that are missing, surplus or of a wrong shape in a model of this config, one line each.

    `heads`: names and shapes beside the backbone; `optional`: names that may be there.
    """
    shapes = backbone_shapes(config)
    expected: dict[str, tuple[int, ...]] = dict(heads)
    allowed = set(optional)
    for place in places(convention, config.n_layers):
        if place.ours in shapes:
            expected |= dict.fromkeys(place.theirs, shape_there(place, convention, shapes[place.ours]))
        else:
            allowed.update(place.theirs)
    return differences(expected, specs, allowed)


def differences(
    expected: Mapping[str, Sequence[int]], specs: Mapping[str, TensorSpec], allowed: Container[str] = ()
) -> list[str]:
    """How tensors differ from the expected names and shapes, one line each. `allowed`: optional names."""
    common = [(name, specs[name], tuple(shape)) for name, shape in expected.items() if name in specs]
    problems = [f"{name} is missing" for name in expected if name not in specs]
    problems += [f"{name} is {spec.shape}, not {shape}" for name, spec, shape in common if spec.shape != shape]
    problems += [f"{name} is {spec.dtype}, not float" for name, spec, _ in common if not spec.dtype.is_floating_point]
    return problems + [f"{name} is surplus" for name in specs if name not in expected and name not in allowed]


def is_tied(checkpoint: Checkpoint, convention: Convention) -> bool:
    """Whether the output matrix is the token embedding: there is no separate one, or one with the same values."""
    embedding, head = next(places(convention, 0)).theirs[0], convention.head
    if head not in checkpoint.specs:
        return True
    same_shape = checkpoint.specs[embedding].shape == checkpoint.specs[head].shape
    return same_shape and torch.equal(checkpoint.read(embedding), checkpoint.read(head))
