"""TensorFlow's checkpoints, read without it. The fixture was written by TensorFlow 2.21."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptmill.core.errors import GptmillError
from gptmill.pretrained.tensorflow_checkpoint import TensorFlowCheckpoint, crc32c, find_index

FOLDER = Path(__file__).parents[2] / "fixtures/gpt2-tiny/openai"


def by_the_bit(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    "data, expected", [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)]
)
def test_crc32c_of_the_published_examples(data, expected):
    assert crc32c(np.frombuffer(data, dtype=np.uint8)) == expected  # RFC 3720, appendix B.4


@given(st.integers(0, 9000), st.integers(0, 2**32 - 1))
def test_crc32c_of_any_length(length, seed):
    data = np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8)
    assert crc32c(data) == by_the_bit(data.tobytes())


def test_the_tensors_and_their_shapes():
    checkpoint = TensorFlowCheckpoint(FOLDER)
    assert len(checkpoint.specs) == 4 + 3 * 12
    assert checkpoint.specs["model/h1/attn/c_attn/w"].shape == (1, 32, 96)
    for name, spec in checkpoint.specs.items():
        tensor = checkpoint.read(name)
        assert (
            tuple(tensor.shape) == spec.shape
            and tensor.dtype == spec.dtype == torch.float32
            and tensor.isfinite().all()
        )


def test_the_checkpoint_file_names_the_index(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "c", copy_function=shutil.copyfile)
    shutil.copyfile(tmp_path / "c/model.ckpt.index", tmp_path / "c/older.ckpt.index")
    assert find_index(tmp_path / "c").name == "model.ckpt.index"
    (tmp_path / "c/checkpoint").unlink()
    with pytest.raises(GptmillError, match="2 TensorFlow checkpoints"):
        find_index(tmp_path / "c")


def test_a_missing_shard_is_named(tmp_path):
    shutil.copyfile(FOLDER / "model.ckpt.index", tmp_path / "model.ckpt.index")
    with pytest.raises(GptmillError, match="data-00000-of-00001 is missing"):
        TensorFlowCheckpoint(tmp_path)
