"""Files of named tensors, read one tensor at a time: safetensors and torch's own, single or sharded.

Safetensors are read, not mapped: a mapped file's pages count as the process's memory, beside the tensors made of them.
"""

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gptmill.core import files
from gptmill.core.errors import GptmillError

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPES |= {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8}
_DTYPES |= {"U8": torch.uint8, "BOOL": torch.bool}
_MAPPED_AT_ONCE = 128 << 20  # bytes read of a mapped torch file before it is mapped again, which frees its pages


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of a tensor that is not read yet."""

    shape: tuple[int, ...]
    dtype: torch.dtype


class Checkpoint(Protocol):
    """Named tensors in files."""

    container: str  # kind of file, for messages
    specs: Mapping[str, TensorSpec]

    def read(self, name: str) -> Tensor:
        """A tensor, read-only. Raises `GptmillError` when its bytes are not valid."""


class Safetensors:
    """One safetensors file, or the shards that a `*.index.json` names."""

    def __init__(self, path: Path) -> None:
        shards = _shards(path)
        self.container = "safetensors" if len(shards) == 1 else f"{len(shards)} safetensors shards"
        self._places: dict[str, tuple[Path, int, int]] = {}
        self.specs: dict[str, TensorSpec] = {}
        for shard in shards:
            self._add(shard)

    def _add(self, shard: Path) -> None:
        try:
            files.refuse_special(shard)
            with safe_open(shard, framework="pt"):  # checks the header, and that the file is as long as the header says
                pass
            with shard.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))
        except (OSError, ValueError, SafetensorError) as error:
            raise GptmillError(
                f"{shard} has no readable weights ({error}): run the stage that makes it again, or download it again"
            ) from None
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if entry["dtype"] not in _DTYPES:
                raise GptmillError(
                    f"{shard}: {name} has type {entry['dtype']}, which gptmill can't read: convert it to float32 first"
                )
            if name in self._places:
                raise GptmillError(f"{name} stands in two shards, {self._places[name][0].name} and {shard.name}")
            start, end = entry["data_offsets"]
            self._places[name] = (shard, 8 + length + start, end - start)
            self.specs[name] = TensorSpec(tuple(entry["shape"]), _DTYPES[entry["dtype"]])

    def read(self, name: str) -> Tensor:
        """A tensor with its own memory."""
        path, offset, size = self._places[name]
        spec = self.specs[name]
        return read_bytes(path, offset, size).view(spec.dtype).view(spec.shape)


class TorchFile:
    """A `.pth`, `.pt` or `.bin` of `torch.save`: a dict of tensors, or one under a key of `_NESTED`. Memory-mapped.

    `settings`: the model's arguments, if the file has them (nanoGPT). Only tensors are unpickled: no code can run.
    """

    container = "torch file"
    _NESTED = ("model_state_dict", "state_dict", "model")  # the book's and most others', Lightning's, nanoGPT's

    def __init__(self, path: Path) -> None:
        self._shards = _shards(path)
        self._tensors: dict[str, Tensor] = {}
        self.settings: dict[str, Any] = {}
        self._mapped = True
        self._load()
        self.specs = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> Tensor:
        if self._mapped and self._read > _MAPPED_AT_ONCE:
            self._load()
        tensor = self._tensors[name].detach()
        self._read += tensor.nbytes
        return tensor

    def _load(self) -> None:
        self._tensors.clear()
        for shard in self._shards:
            self._tensors |= self._state_dict(shard)
        self._read = 0

    def _state_dict(self, path: Path) -> dict[str, Tensor]:
        try:
            content = self._unpickle(path)
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
            reason = str(error).strip().split("\n")[0]
            raise GptmillError(
                f"{path} is not a complete file of tensors ({type(error).__name__}: {reason}). It may be cut, or hold "
                "other objects, which gptmill does not load: get it again, or save it with "
                "torch.save(model.state_dict(), ...)"
            ) from None
        for key in self._NESTED:
            if isinstance(content, dict) and isinstance(content.get(key), dict):
                if isinstance(arguments := content.get("model_args"), dict):
                    self.settings = arguments
                content = content[key]
                self.container = f"torch file (its {key})"
        if not (isinstance(content, dict) and content and all(map(_is_named_tensor, content.items()))):
            raise GptmillError(f"{path} holds no state dict: save one with torch.save(model.state_dict(), ...)")
        return content

    def _unpickle(self, path: Path) -> object:
        files.refuse_special(path)
        try:
            # Mapped, so that an optimizer's state is never read.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            self._mapped = False  # a file from before PyTorch 1.6
            return torch.load(path, map_location="cpu", weights_only=True)


def _is_named_tensor(item: tuple[object, object]) -> bool:
    name, value = item
    dense = isinstance(value, Tensor) and value.layout is torch.strided and not (value.is_meta or value.is_quantized)
    return isinstance(name, str) and dense


def _shards(index: Path) -> list[Path]:
    """The files that a `*.index.json` names; else the file itself."""
    if not index.name.endswith(".index.json"):
        return [index]
    try:
        names = sorted(set(files.read_json(index)["weight_map"].values()))
        absent = [name for name in names if Path(name).name != name or not (index.parent / name).is_file()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GptmillError(f"{index} is no index of shards ({error!r}): get it again") from None
    if absent:
        raise GptmillError(f"{index} names files that are not beside it: {', '.join(absent)}")
    return [index.parent / name for name in names]


def demand_finite(tensor: Tensor, name: str, path: Path) -> Tensor:
    """Return the tensor. Raises `GptmillError` when it has NaN, Inf, or a number too large for float32."""
    wide = tensor if tensor.element_size() > 1 else tensor.float()
    if tensor.is_floating_point() and tensor.numel() and not all(end.float().isfinite() for end in wide.aminmax()):
        raise GptmillError(
            f"weights contain NaN or Inf: {name} in {path}. Take a checkpoint from before the training diverged"
        )
    return tensor


def read_bytes(path: Path, offset: int, size: int) -> Tensor:
    """(size,) uint8 of a file. Raises `GptmillError` when the file is too short."""
    buffer = torch.empty(size, dtype=torch.uint8)
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        view, filled = memoryview(buffer.numpy()), 0
        while filled < size and (count := file.readinto(view[filled:])):
            filled += count
    if filled < size:
        raise GptmillError(f"{path} ends {size - filled:,} bytes too early: get it again")
    return buffer


def write_safetensors(path: Path, specs: Mapping[str, TensorSpec], read: Callable[[str], Tensor]) -> None:
    """Write one safetensors file. `read` gives one tensor at a time, so that only one is in memory."""
    names = {dtype: name for name, dtype in _DTYPES.items()}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, spec in sorted(specs.items()):
        size = math.prod(spec.shape) * spec.dtype.itemsize
        header[name] = {"dtype": names[spec.dtype], "shape": list(spec.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the data to 8 bytes
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, spec in sorted(specs.items()):
            tensor = read(name).detach().to("cpu", spec.dtype).contiguous()
            if tuple(tensor.shape) != spec.shape:
                raise ValueError(f"{name} was announced as {spec.shape} and is {tuple(tensor.shape)}")
            file.write(memoryview(tensor.view(-1).view(torch.uint8).numpy()))
