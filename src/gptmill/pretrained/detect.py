"""Detect the format of foreign weights: the container (safetensors, torch, TensorFlow) and whose names are in it.

The two are independent, so the book's names in a safetensors file work too. Everything is checked before anything is
written; the tensors are then converted one at a time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gptmill.config.schema import GPT2_SIZES, GPT2_VOCAB_SIZE
from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.model import tensor_names
from gptmill.model.folder import write_model
from gptmill.model.gpt import GPTConfig
from gptmill.model.size import measure
from gptmill.model.tensor_files import Checkpoint, Safetensors, TorchFile
from gptmill.model.tensor_names import BOOK, BOOK_FUSED, HUGGINGFACE, NANOGPT, OPENAI, Convention, Renamed, bare
from gptmill.pretrained import infer_config
from gptmill.pretrained.tensorflow_checkpoint import TensorFlowCheckpoint

_READERS = {
    ".safetensors": Safetensors, ".index": TensorFlowCheckpoint, ".pth": TorchFile, ".pt": TorchFile, ".bin": TorchFile,
}  # fmt: skip
# What a folder is searched for first.
_USUAL = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class CheckpointInfo:
    """A source that makes a model, checked but for the bytes of its tensors."""

    path: Path
    convention: Convention
    tensors: Renamed
    config: GPTConfig
    settings: Mapping[str, Any]  # of the config next to the weights
    notes: tuple[str, ...]  # what was assumed or left out

    def describe(self) -> str:
        """For people, a few lines."""
        config = self.config
        dtypes = ", ".join(sorted({str(spec.dtype).removeprefix("torch.") for spec in self.tensors.specs.values()}))
        prefix = f", with the prefix {self.convention.prefix}" if self.tensors.prefixed else ""
        lines = [
            f"{self.path}: {self.tensors.container} with {self.convention.title} names{prefix}",
            f"  model       {size_name(config)}: {config.n_layers} layers, {config.n_heads} heads, "
            f"width {config.d_model}, vocabulary {config.vocab_size:,}, context {config.context_length:,}",
            f"  parameters  {measure(config).parameters:,} in {dtypes}"
            f"{'' if dtypes == 'float32' else ', written as float32'}",
            f"  output      {'tied to the token embedding' if config.tie_weights else 'a matrix of its own (not tied)'}"
            f"; query, key and value {'with' if config.qkv_bias else 'without'} bias",
        ]
        return "\n".join(lines + [f"  note        {note}" for note in self.notes])

    def write(self, folder: Path, end_of_text: int | None = None) -> None:
        """Write `config.json` and `model.safetensors` into an existing folder."""
        places = {place.ours: place for place in tensor_names.places(self.convention, self.config.n_layers)}

        def read(name: str) -> torch.Tensor:
            if name == tensor_names.HEAD:
                return self.tensors.read(self.convention.head)
            return tensor_names.to_ours(places[name], self.convention, self.tensors.read)

        write_model(folder, self.config, read, end_of_text)


def size_name(config: GPTConfig) -> str:
    """The published GPT-2 that has these sizes, if one has."""
    sizes = (config.n_layers, config.n_heads, config.d_model)
    names = [name for name, published in GPT2_SIZES.items() if published == sizes]
    return names[0] if names and config.vocab_size == GPT2_VOCAB_SIZE else "a GPT-2 of its own size"


def detect_format(path: Path, n_heads: int | None = None, config: GPTConfig | None = None) -> CheckpointInfo:
    """What is at `path`, a folder or a file. `n_heads`: for files that lack it; `config`: where it is known.

    Raises `GptmillError` with all that keeps it from being a model. The tensors' bytes are read later.
    """
    checkpoint = _open(path)
    convention = _convention(checkpoint, path)
    tensors = Renamed(checkpoint, convention, path)
    notes = [f"{len(tensors.buffers)} causal masks left out: they are no weights"] if tensors.buffers else []
    if tensors.wrapped:
        notes.append("the names of wrappers (torch.compile, DDP, FSDP, Lightning) are left out of the tensors' names")
    if own := getattr(checkpoint, "settings", None):
        settings, stated = own, infer_config.stated_sizes(own, f"model_args in {path}")
    else:
        settings, stated = infer_config.read_config(path if path.is_dir() else path.parent, convention)
    if config is not None:
        stated = infer_config.sizes_of(config)
    elif n_heads is not None:
        if stated.get("n_heads", n_heads) != n_heads:
            raise GptmillError(
                f"--n-heads {n_heads} contradicts the config of {path}, which says {stated['n_heads']}: leave it out"
            )
        stated["n_heads"] = n_heads
    inferred = infer_config.infer(tensors, convention, stated, settings, notes, path)
    return CheckpointInfo(path, convention, tensors, inferred, settings, tuple(notes))


def _open(path: Path) -> Checkpoint:
    if path.is_dir():
        if (path / "checkpoint").is_file() or list(path.glob("*.ckpt*.index")):
            return TensorFlowCheckpoint(path)
        candidates = [path / name for name in _USUAL if (path / name).is_file()][:1]
        candidates = candidates or sorted(
            file for file in path.iterdir() if file.suffix in _READERS.keys() - {".index"}
        )
        if len(candidates) != 1:
            names = ", ".join(file.name for file in candidates)
            what = f"{len(candidates)} files of weights ({names})" if candidates else "no weights"
            raise GptmillError(
                f"{path} has {what}: "
                "name a file, or a folder with a model.safetensors, a TensorFlow checkpoint or a .pth"
            )
        return _open(candidates[0])
    if path.with_name(f"{path.name}.index").is_file():  # TensorFlow names a checkpoint by the prefix of its files
        return TensorFlowCheckpoint(path.with_name(f"{path.name}.index"))
    if not path.exists():
        raise GptmillError(f"{path} is not here")
    files.refuse_special(path)
    reader = _READERS.get(Path(path.name.removesuffix(".index.json")).suffix)
    if not reader:
        raise GptmillError(
            f"{path}: gptmill reads .safetensors, .pth, .pt, .bin and TensorFlow's .index, alone or in a folder"
        )
    return reader(path)


def _convention(checkpoint: Checkpoint, path: Path) -> Convention:
    specs = {bare(name): spec for name, spec in checkpoint.specs.items()}
    if any(name.startswith(("tok_emb.", "trf_blocks.")) for name in specs):
        return BOOK_FUSED if any(".att.qkv." in name for name in specs) else BOOK
    if any(name.startswith("model/") for name in specs):
        return OPENAI
    if any(re.match(r"(transformer\.)?(wte\.|h\.\d+\.)", name) for name in specs):
        # Square matrices do not show their layout; query, key and value below one another do.
        fused = next((spec.shape for name, spec in specs.items() if name.endswith(".attn.c_attn.weight")), ())
        return NANOGPT if len(fused) == 2 and fused[0] == 3 * fused[1] else HUGGINGFACE
    names = f"its tensors have names like {', '.join(list(specs)[:3]) or 'nothing at all'}"
    raise GptmillError(f"{path} holds no GPT-2: {infer_config.unsupported_kind(specs) or names}")
