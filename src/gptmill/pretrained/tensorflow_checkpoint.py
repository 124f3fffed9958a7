"""Read TensorFlow's V2 checkpoints without TensorFlow: an index (a LevelDB table of names) and shards of plain bytes.

Blocks of the index and tensors are checked against their CRC-32C as they are read. Sources: LevelDB's
doc/table_format.md, TensorFlow's core/protobuf/tensor_bundle.proto and core/lib/hash/crc32c.h.
"""

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.model.tensor_files import TensorSpec, read_bytes

_MAGIC = 0xDB4775248B80FB57
_FOOTER, _TRAILER = 48, 5  # bytes; a block's trailer is its compression and its checksum
_MASK_DELTA = 0xA282EAD8
# By the numbers of types.proto.
_DTYPES = {
    1: torch.float32, 2: torch.float64, 3: torch.int32, 9: torch.int64, 14: torch.bfloat16, 19: torch.float16,
}  # fmt: skip


class _Entry(NamedTuple):
    spec: TensorSpec
    shard: int
    offset: int
    size: int
    crc: int


class TensorFlowCheckpoint:
    """The checkpoint in a folder, or the one of an `.index` file. Raises `GptmillError` when it is not whole."""

    container = "TensorFlow checkpoint"

    def __init__(self, path: Path) -> None:
        self._index = find_index(path) if path.is_dir() else path
        try:
            files.refuse_special(self._index)
            shards, self._entries = _bundle(dict(_table(self._index.read_bytes())))
        except (OSError, ValueError, IndexError, struct.error, OverflowError) as error:
            raise GptmillError(
                f"{self._index} is not a TensorFlow checkpoint index, or it is cut ({error}): get it again"
            ) from None
        except GptmillError as error:
            raise GptmillError(f"{self._index}: {error}") from None
        prefix = self._index.name.removesuffix(".index")
        self._shards = [self._index.with_name(f"{prefix}.data-{i:05d}-of-{shards:05d}") for i in range(shards)]
        self.specs = {name: entry.spec for name, entry in self._entries.items()}
        self._check_lengths()

    def _check_lengths(self) -> None:
        problems = []
        for i, shard in enumerate(self._shards):
            size = max((entry.offset + entry.size for entry in self._entries.values() if entry.shard == i), default=0)
            if not shard.is_file():
                problems.append(f"{shard.name} is missing")
            elif shard.stat().st_size < size:
                problems.append(f"{shard.name} has {shard.stat().st_size:,} bytes, not {size:,}: it is cut")
        if problems:
            listed = "; ".join(problems)
            raise GptmillError(f"the TensorFlow checkpoint {self._index} is not whole: {listed}. Get it again.")

    def read(self, name: str) -> Tensor:
        entry = self._entries[name]
        data = read_bytes(self._shards[entry.shard], entry.offset, entry.size)
        if _masked(crc32c(data.numpy())) != entry.crc:
            raise GptmillError(
                f"{self._shards[entry.shard]}: the checksum of {name} is wrong, so it was damaged. Get the file again."
            )
        return data.view(entry.spec.dtype).view(entry.spec.shape)


def find_index(folder: Path) -> Path:
    """The `.index` that a folder's `checkpoint` file names, else the only one."""
    indices = sorted(folder.glob("*.index"))
    pointer = folder / "checkpoint"
    if pointer.is_file():
        for line in pointer.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            named = folder / (Path(value.strip(' "')).name + ".index")
            if key.strip() == "model_checkpoint_path" and named in indices:
                return named
    if len(indices) != 1:
        raise GptmillError(
            f"{folder} has {len(indices)} TensorFlow checkpoints: name one, as in {folder}/model.ckpt.index"
        )
    return indices[0]


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table, in order."""
    footer = data[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("it has no footer")
    list(_block(data, footer, 0))  # the meta index, for its checksum alone
    at = _varint(footer, _varint(footer, 0)[1])[1]
    for _, handle in _block(data, footer, at):
        yield from _block(data, handle, 0)


def _block(data: bytes, handle: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of the block at a handle (offset and size, as varints)."""
    offset, at = _varint(handle, at)
    size, _ = _varint(handle, at)
    block, trailer = data[offset : offset + size], data[offset + size : offset + size + _TRAILER]
    compression, crc = struct.unpack("<BI", trailer)
    if _masked(crc32c(np.frombuffer(block + trailer[:1], dtype=np.uint8))) != crc:
        raise GptmillError("a checksum is wrong, so the index was damaged. Get the file again.")
    if compression:
        raise GptmillError(f"it is compressed (kind {compression}), not TensorFlow's default: save the checkpoint anew")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)  # bytes that the key shares with the one before
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _bundle(entries: dict[bytes, bytes]) -> tuple[int, dict[str, _Entry]]:
    """Number of shards, and the tensors by name, from `BundleHeaderProto` (the empty key) and `BundleEntryProto`s."""
    header = dict(_fields(entries.pop(b"", b"")))
    if header.get(2):
        raise GptmillError("it was written on a big-endian machine, whose checkpoints gptmill does not read")
    tensors = {}
    for key, value in entries.items():
        name = key.decode("utf-8", errors="replace")
        fields = list(_fields(value))
        entry = dict(fields)
        if any(number == 7 for number, _ in fields):
            raise GptmillError(f"{name} is saved in slices, which gptmill does not read: save it unpartitioned")
        if entry.get(1) not in _DTYPES:
            raise GptmillError(f"{name} is of TensorFlow's type {entry.get(1)}, which gptmill does not read")
        sizes = [dict(_fields(dimension)).get(1, 0) for number, dimension in _fields(entry.get(2, b"")) if number == 2]
        spec = TensorSpec(tuple(sizes), _DTYPES[entry[1]])
        if entry.get(5, 0) != int(np.prod(sizes, dtype=np.int64)) * spec.dtype.itemsize:
            raise GptmillError(f"{name} has {entry.get(5, 0)} bytes, which do not make the shape {spec.shape}")
        tensors[name] = _Entry(spec, entry.get(3, 0), entry.get(4, 0), entry.get(5, 0), entry.get(6, 0))
    shards = header.get(1, 1)
    if any(entry.shard >= shards for entry in tensors.values()):
        raise GptmillError("it names a shard that it does not have: get the file again")
    return shards, tensors


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protocol buffer's fields (protobuf.dev, "Encoding")."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 2:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = int.from_bytes(message[at : at + size], "little"), at + size
        else:
            raise IndexError(f"wire type {wire}")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 integer and where it ends. Raises `IndexError` when the data ends before."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _masked(crc: int) -> int:
    """A checksum as stored: rotated and shifted, as the data may itself contain checksums."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


# CRC-32C (Castagnoli), reflected. Byte by byte, Python would take minutes for a model. The sum is linear, so rows of
# equal length are summed in parallel and joined: moving a sum past n zero bytes is a matrix over GF(2).

_POLYNOMIAL = 0x82F63B78
_ROW = 1024


@cache
def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


@cache
def _pair_table() -> np.ndarray:
    """The low half of a state after two bytes: one look-up in place of two."""
    table, states = _byte_table(), np.arange(1 << 16, dtype=np.uint32)
    for _ in range(2):
        states = table[states & 0xFF] ^ (states >> 8)
    return states


@cache
def _past_zeros(count: int) -> np.ndarray:
    """(4, 256): each byte of a state after `count` zero bytes. `count` is a power of two times `_ROW`, or one."""
    table = _byte_table()
    if count == 1:
        states = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32)[:, None])
        return table[states & 0xFF] ^ (states >> 8)
    half = _past_zeros(count // 2)
    return _move(half, half)


def _move(tables: np.ndarray, states: np.ndarray) -> np.ndarray:
    return np.bitwise_xor.reduce([table[states >> 8 * i & 0xFF] for i, table in enumerate(tables)])


def crc32c(data: np.ndarray) -> int:
    """CRC-32C of (n,) bytes, as RFC 3720, appendix B.4, has it."""
    table = _byte_table()
    rows = len(data) // _ROW
    state = 0xFFFFFFFF
    if rows:
        table_of_pairs = _pair_table()
        pairs = data[: rows * _ROW].view("<u2").reshape(rows, _ROW // 2).T
        states = np.zeros(rows, dtype=np.uint32)
        states[0] = state
        for pair in pairs:  # two bytes of every row
            states = table_of_pairs[(states ^ pair) & 0xFFFF] ^ (states >> 16)
        length = _ROW
        while len(states) > 1:
            if len(states) % 2:  # a row of zeros in front changes nothing
                states = np.concatenate([np.zeros(1, dtype=np.uint32), states])
            states = _move(_past_zeros(length), states[::2]) ^ states[1::2]
            length *= 2
        state = int(states[0])
    for byte in data[rows * _ROW :].tolist():
        state = int(table[(state ^ byte) & 0xFF]) ^ (state >> 8)
    return state ^ 0xFFFFFFFF
