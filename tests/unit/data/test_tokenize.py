import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.data import corpus, tokenize
from gptmill.data.corpus import END_OF_TEXT, Piece
from gptmill.text import token_files

TEXTS = [
    "Once upon a time.",
    "",
    "The cat and the mill. " * 40,
    f"It says {END_OF_TEXT} here",
    "£100 naïve 猫🐈",
    "the\n\nmill",
]


def ids(tokenizer, texts, workers=1, size=50) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "PIECE_CHARACTERS", size)
        patch.setattr(tokenize, "PIECE_CHARACTERS", size)
        # As documents, not as rows of a table, which a marker would divide.
        return [
            i
            for array in tokenize.encode(tokenizer, corpus._in_pieces((0, text, True) for text in texts), workers)
            for i in array.tolist()
        ]


def one_by_one(tokenizer, texts) -> list[int]:
    return [i for text in texts for i in [*tokenizer.encode(text), tokenizer.end_of_text]]


@given(st.lists(st.sampled_from(TEXTS), max_size=12), st.sampled_from([20, 50, 100_000]))
def test_streamed_documents_have_the_ids_of_the_whole_ones(tokenizer, texts, size):
    assert ids(tokenizer, texts, size=size) == one_by_one(tokenizer, texts)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_changes_nothing(tokenizer, workers):
    assert ids(tokenizer, TEXTS * 20, workers) == one_by_one(tokenizer, TEXTS * 20)


def test_an_error_in_the_corpus_comes_through(tokenizer):
    def pieces():
        yield Piece(1, "fine", True)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        list(tokenize.encode(tokenizer, pieces(), 2))


def test_a_cleaned_corpus_becomes_token_files(tokenizer, tmp_path):
    rows = [(row, text) for row, text in enumerate(TEXTS, start=1) if text and END_OF_TEXT not in text]
    corpus.write(corpus.from_rows(rows), {}, tmp_path / "clean.txt", tmp_path / "bad.parquet")
    meta = tokenize.write(tokenizer, tmp_path / "clean.txt", tmp_path / "t", 0.2, 8, threads=0)
    read = [i for split in token_files.SPLITS for i in token_files.read(tmp_path / "t", split).tolist()]
    assert read == one_by_one(tokenizer, [text for _, text in rows]) and meta["documents"] == len(rows)


# --- what a tokenizer learns from ---

DOCUMENTS = ["Once upon a time.", "", "The cat", "and the mill", "£" * 30]


def before(share, **settings) -> list[str]:
    return list(tokenize.tokenizer_training_text(corpus.from_rows(enumerate(DOCUMENTS)), 66, share))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.5, 0.99])
def test_what_comes_before_validation_is_a_prefix_of_that_many_characters(share):
    result = "".join(before(share))
    assert "".join(DOCUMENTS).startswith(result)
    assert len(result) == round(66 * (1 - share))


def test_of_a_huge_corpus_every_nth_piece_is_learnt_from_and_still_none_of_validation(monkeypatch):
    monkeypatch.setattr(tokenize, "LONGEST_TRAINING_TEXT", 30)
    assert before(0.1) == ["Once upon a time.", "The cat", "£" * 23]
