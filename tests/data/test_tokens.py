import numpy as np
import pytest

from gptmill import files
from gptmill.data import tokens
from gptmill.errors import GptmillError


def test_the_end_of_the_ids_is_the_validation_split(tmp_path):
    meta = tokens.write(tmp_path / "t", list(range(1000)), 1000, 0.1)
    assert meta == {"vocab_size": 1000, "train_tokens": 900, "validation_tokens": 100} == files.read_json(tmp_path / "t" / "meta.json")
    assert tokens.read(tmp_path / "t", "train").tolist() == list(range(900))
    assert tokens.read(tmp_path / "t", "validation").tolist() == list(range(900, 1000))


def test_ids_are_two_little_endian_bytes_each(tmp_path):
    tokens.write(tmp_path / "t", [1, 256, 65535, 7], 65536, 0.5)
    assert (tmp_path / "t" / "train.bin").read_bytes() == b"\x01\x00\x00\x01"
    assert (tmp_path / "t" / "validation.bin").read_bytes() == b"\xff\xff\x07\x00"


def test_token_files_stay_on_disk(tmp_path):
    tokens.write(tmp_path / "t", list(range(100)), 100, 0.5)
    ids = tokens.read(tmp_path / "t", "train")
    assert isinstance(ids, np.memmap) and not ids.flags.writeable


@pytest.mark.parametrize(("ids", "share", "split"), [([1, 2, 3], 0.1, "validation"), ([1, 2, 3], 0.9, "train"), ([], 0.5, "train")])
def test_a_split_that_is_too_short_is_named_and_nothing_is_written(tmp_path, ids, share, split):
    with pytest.raises(GptmillError, match=f"the corpus' {split} split has .* split.corpus.validation"):
        tokens.write(tmp_path / "t", ids, 10, share)
    assert list(tmp_path.iterdir()) == []


def test_a_vocabulary_that_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(GptmillError, match="does not fit into 16 bits"):
        tokens.write(tmp_path / "t", [1] * 10, 65537, 0.5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.5, 0.99])
def test_what_comes_before_validation_is_a_prefix_of_that_many_characters(share):
    documents = ["Once upon a time.", "", "The cat", "and the mill", "£" * 30]
    before = "".join(tokens.before_validation(documents, share))
    assert "".join(documents).startswith(before)
    assert len(before) == round(66 * (1 - share))
