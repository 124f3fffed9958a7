import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.core.errors import GptmillError
from gptmill.text.tokenizer import END_OF_TEXT, Tokenizer

TEXTS = [
    "Hello, world", "don't stop: they'll, I'VE", "  two  spaces \n\n\ttabs\r\n", "£100 naïve 猫🐈 e\u0301",
    "abc123def 4567", "...!?--",
    "\x00\x1f", "\u3000wide\u00a0space", "", " ", "\n", f"a{END_OF_TEXT}b",
]  # fmt: skip


@pytest.fixture(scope="module")
def hub(tokenizer, tmp_path_factory):
    """What transformers makes of the folder that we write."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save(folder, max_length=77)
    return AutoTokenizer.from_pretrained(folder)


@given(st.text())
def test_any_text_comes_back_as_it_went_in(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text())
def test_ids_lie_within_the_vocabulary_and_none_ends_a_document(tokenizer, text):
    assert all(0 <= i < tokenizer.end_of_text for i in tokenizer.encode(text))


@given(st.text(alphabet=st.sampled_from("abcdet hilmnorsw'’.,!?\n\t 0123£é猫🐈\u00a0")))
def test_transformers_reads_the_folder_and_gives_the_same_ids(tokenizer, hub, text):
    assert hub(text)["input_ids"] == tokenizer.encode(text)


@pytest.mark.parametrize("text", TEXTS)
def test_transformers_gives_back_the_same_text(tokenizer, hub, text):
    ids = tokenizer.encode(text)
    if END_OF_TEXT not in text:  # there it is special, here nothing in a text is
        assert hub(text)["input_ids"] == ids
    assert hub.decode(ids) == tokenizer.decode(ids) == text


def test_transformers_knows_the_special_token_and_the_length(tokenizer, hub):
    assert hub.eos_token_id == hub.pad_token_id == hub.bos_token_id == tokenizer.end_of_text == len(hub) - 1
    assert hub.model_max_length == 77
    assert hub(END_OF_TEXT)["input_ids"] == [tokenizer.end_of_text]


def test_a_special_token_in_a_text_is_the_characters_that_it_is_made_of(tokenizer):
    ids = tokenizer.encode(END_OF_TEXT)
    assert tokenizer.end_of_text not in ids and len(ids) > 1
    assert tokenizer.decode(ids) == END_OF_TEXT


def test_documents_are_closed_by_the_end_of_text_token_which_decodes_to_nothing(tokenizer):
    ids = tokenizer.encode_documents(["the cat", "", "the mill"]).tolist()
    end = tokenizer.end_of_text
    assert ids == [*tokenizer.encode("the cat"), end, end, *tokenizer.encode("the mill"), end]
    assert tokenizer.decode(ids) == "the catthe mill"


PARTS = st.sampled_from([END_OF_TEXT, "<|endof", "text|>", "the mill", "", " a"]) | st.text(max_size=20)


@given(st.lists(PARTS, min_size=1, max_size=6), st.booleans())
def test_documents_side_by_side_have_the_ids_that_they_have_alone(tokenizer, texts, closed):
    expected = [i for text in texts for i in [*tokenizer.encode(text), tokenizer.end_of_text]]
    assert tokenizer.encode_documents(texts, closed).tolist() == (expected if closed else expected[:-1])


def test_half_a_character_is_shown_as_unreadable(tokenizer):
    assert tokenizer.decode(tokenizer.encode("🐈")[:2]) == "\ufffd"


def test_training_makes_pairs_of_what_is_frequent(tokenizer):
    assert tokenizer.vocab_size == 300
    assert tokenizer.end_of_text == 299
    assert len(tokenizer.encode(" mill")) < len(" mill")
    assert all(bytes([byte]) in tokenizer.ranks for byte in range(256))


def test_training_is_repeatable():
    texts = ["a rose is a rose is a rose", "roses rise"] * 3
    assert Tokenizer.train(texts, 280).ranks == Tokenizer.train(texts, 280).ranks


def test_a_short_text_gives_a_smaller_vocabulary():
    assert Tokenizer.train(["ab"], 1000).vocab_size == 257
    assert Tokenizer.train([], 1000).vocab_size == 257


def test_a_tokenizer_comes_back_from_its_folder(tokenizer, tmp_path):
    tokenizer.save(tmp_path, max_length=64)
    again = Tokenizer.load(tmp_path)
    assert again.ranks == tokenizer.ranks
    assert Tokenizer.max_length(tmp_path) == 64


def test_saving_is_repeatable(tokenizer, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        tokenizer.save(tmp_path / name)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_missing_folder_says_what_to_run(tmp_path):
    with pytest.raises(GptmillError, match="dvc repro tokenize"):
        Tokenizer.load(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model": 7}', '{"model": {}}'])
def test_what_is_no_tokenizer_is_one_error(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(GptmillError, match="is not a tokenizer"):
        Tokenizer.load(tmp_path)


def change_rank(vocabulary):
    vocabulary["a"] = 10_000


def drop_byte(vocabulary):
    del vocabulary["a"]


def foreign_character(vocabulary):
    vocabulary["猫"] = len(vocabulary)


def no_number(vocabulary):
    vocabulary["a"] = "x"


def null(vocabulary):
    vocabulary["a"] = None


@pytest.mark.parametrize("change", [change_rank, drop_byte, foreign_character, no_number, null])
def test_a_vocabulary_that_is_not_of_bytes_is_one_error(tokenizer, tmp_path, change):
    tokenizer.save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    change(content["model"]["vocab"])
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(GptmillError, match="is not a byte-level vocabulary"):
        Tokenizer.load(tmp_path)


def test_a_vocabulary_of_scores_is_one_error(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": [["a", -1.5]]}}))
    with pytest.raises(GptmillError, match="is not a byte-level vocabulary"):
        Tokenizer.load(tmp_path)


def test_ranks_that_nothing_merges_into_cannot_be_saved(tmp_path):
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"abc": 256}
    with pytest.raises(GptmillError, match="nothing merges into b'abc'"):
        Tokenizer(ranks).save(tmp_path)


def test_openais_vocabulary_file_is_read(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    vocabulary = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]
    (tmp_path / "encoder.json").write_text(json.dumps(vocabulary | {END_OF_TEXT: len(vocabulary)}))
    assert Tokenizer.from_gpt2_files(tmp_path / "encoder.json").ranks == tokenizer.ranks


def test_text_is_cut_before_pairs_are_looked_for_as_gpt2_cuts_it():
    # Every two characters of this text form a pair; the cuts keep words, numbers, punctuation and contractions apart.
    text = "it's 12 o'clock, a  b"
    pairs = dict.fromkeys(text[i : i + 2].encode() for i in range(len(text) - 1))
    tokenizer = Tokenizer(
        {bytes([byte]): byte for byte in range(256)} | {pair: 256 + i for i, pair in enumerate(pairs)}
    )
    pieces = [tokenizer.decode([i]) for i in tokenizer.encode(text)]
    assert "".join(pieces) == text
    assert not {"t'", "s ", "2 ", "k,", ", "} & set(pieces)
    assert {"it", "'s", " 1"} <= set(pieces)
