import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.text import token_files


def write(folder, ids, vocab_size=70_000, share=0.1, context_length=1, parts=3, **settings):
    arrays = np.array_split(np.array(ids, dtype=np.uint16), parts)
    return token_files.write(folder, arrays, min(vocab_size, 65_536), share, context_length, **settings)


def test_the_end_of_the_ids_is_the_validation_split(tmp_path):
    meta = write(tmp_path / "t", range(1000), 1000)
    assert meta == files.read_json(tmp_path / "t" / "meta.json") == {
        "vocab_size": 1000, "documents": 1, "train_tokens": 900, "validation_tokens": 100,
        "train_shards": 1, "validation_shards": 1, "shard_tokens": token_files.SHARD_TOKENS,
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["meta.json", "train.bin", "validation.bin"]
    assert token_files.read(tmp_path / "t", "train").tolist() == list(range(900))
    assert token_files.read(tmp_path / "t", "validation").tolist() == list(range(900, 1000))


def test_ids_are_two_little_endian_bytes_each(tmp_path):
    write(tmp_path / "t", [1, 256, 65535, 7], share=0.5)
    assert (tmp_path / "t" / "train.bin").read_bytes() == b"\x01\x00\x00\x01"
    assert (tmp_path / "t" / "validation.bin").read_bytes() == b"\xff\xff\x07\x00"


def test_token_files_stay_on_disk(tmp_path):
    write(tmp_path / "t", range(100), share=0.5)
    ids = token_files.read(tmp_path / "t", "train")
    assert isinstance(ids, np.memmap) and not ids.flags.writeable


@pytest.mark.parametrize(
    ("ids", "share", "context_length", "message"),
    [
        ([1, 2, 3], 0.1, 1, "validation split has 0 tokens of 3, and needs 2: .* change split.corpus.validation in"),
        ([1, 2, 3], 0.9, 1, "train split has 0 tokens of 3, and needs 2 for one window"),
        ([], 0.5, 8, "train split has 0 tokens"),
        (
            range(40),
            0.8,
            8,
            "train split has 8 tokens of 40, and needs 9 for one window of model.context_length 8: .* or model.context_length",
        ),
    ],
)
def test_a_split_that_is_too_short_is_named_and_nothing_is_written(tmp_path, ids, share, context_length, message):
    with pytest.raises(GptmillError, match=f"the corpus' {message}"):
        write(tmp_path / "t", ids, share=share, context_length=context_length)
    assert list(tmp_path.iterdir()) == []


def test_one_window_and_a_target_are_enough(tmp_path):
    assert write(tmp_path / "t", range(11), share=0.2, context_length=8)["train_tokens"] == 9


def test_a_vocabulary_that_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(GptmillError, match="does not fit into 16 bits"):
        token_files.write(tmp_path / "t", [np.ones(10, dtype=np.uint16)], 65537, 0.5, 1)


# --- shards ---


@given(
    count=st.integers(6, 80),
    share=st.sampled_from([0.1, 0.35, 0.5, 0.9]),
    size=st.integers(2, 30),
    parts=st.integers(1, 5),
)
def test_shards_hold_what_one_file_holds(tmp_path_factory, count, share, size, parts):
    folder, ids = tmp_path_factory.mktemp("shards"), np.random.default_rng(count).integers(0, 60_000, count)
    cut = round(count * (1 - share))
    if min(cut, count - cut) < 2:
        return
    meta = write(folder / "t", ids, share=share, parts=parts, shard_tokens=size)
    for split, expected in (("train", ids[:cut]), ("validation", ids[cut:])):
        paths = token_files.paths_of(folder / "t", split)
        assert b"".join(path.read_bytes() for path in paths) == expected.astype("<u2").tobytes()
        assert [path.stat().st_size for path in paths[:-1]] == [2 * size] * (len(paths) - 1) and len(paths) == meta[
            f"{split}_shards"
        ]
        assert paths[0].name == (f"{split}.bin" if len(paths) == 1 else f"{split}-00001-of-{len(paths):05}.bin")
        read = token_files.read(folder / "t", split)
        assert len(read) == len(expected) and read[:].tolist() == expected.tolist()
    assert len(list((folder / "t").iterdir())) == meta["train_shards"] + meta["validation_shards"] + 1


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "t"
    write(folder, range(100), share=0.1, shard_tokens=7)
    return token_files.read(folder, "train")


@given(start=st.integers(-120, 120) | st.none(), stop=st.integers(-120, 120) | st.none())
def test_windows_over_shards_are_those_of_one_array(shards, start, stop):
    assert shards[start:stop].tolist() == list(range(90))[start:stop] and shards[start:stop].dtype == token_files.DTYPE


@pytest.mark.parametrize("place", [0, 6, 7, 89, -1, -90])
def test_one_id_of_a_shard(shards, place):
    assert shards[place] == range(90)[place]


def test_beyond_the_last_shard_is_nothing(shards):
    with pytest.raises(IndexError):
        shards[90]
    with pytest.raises(ValueError, match="in order, not in steps of 2"):
        shards[::2]


def test_training_sees_the_same_batches_whether_sharded_or_not(tmp_path):
    import torch

    from gptmill.training.objectives import NextToken

    for size in (token_files.SHARD_TOKENS, 13):
        write(tmp_path / str(size), range(1000), shard_tokens=size)
    one, many = (NextToken(*(token_files.read(tmp_path / str(size), split) for split in token_files.SPLITS), 8, 4, 1)
                 for size in (token_files.SHARD_TOKENS, 13))  # fmt: skip
    epochs = [(data.collate(rows) for rows in data.epoch_batches(1)) for data in (one, many)]
    for ours, theirs in (epochs, (one.validation_batches(), many.validation_batches())):
        for batch, other in zip(ours, theirs, strict=True):
            assert all(map(torch.equal, batch, other))


@pytest.mark.parametrize("damage", ["cut", "longer", "gone"])
def test_a_shard_that_was_cut_short_is_named_with_what_to_do(tmp_path, damage):
    write(tmp_path / "t", range(100), shard_tokens=30)
    shard = tmp_path / "t" / "train-00002-of-00003.bin"
    content = shard.read_bytes()
    shard.unlink() if damage == "gone" else shard.write_bytes(content[:-1] if damage == "cut" else content + b"\0\0")
    with pytest.raises(
        GptmillError, match=r"train-00002-of-00003\.bin has \d+ bytes where .*meta\.json promises 60: .*dvc repro"
    ):
        token_files.read(tmp_path / "t", "train")
    assert len(token_files.read(tmp_path / "t", "validation")) == 10
