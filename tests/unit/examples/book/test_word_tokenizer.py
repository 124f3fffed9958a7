"""The first rung of tokenizers: whole words."""

from examples.book.word_tokenizer import UNKNOWN, WordTokenizer
from gptmill.text.tokenizer import END_OF_TEXT

TEXT = "I HAD always thought Jack Gisburn a cheap genius, though a good fellow enough. It's so!"


def test_words_and_marks_get_ids_and_come_back():
    words = WordTokenizer([TEXT])
    assert words.decode(words.encode(TEXT)) == TEXT
    assert words.encode("Jack, Jack!")[0] == words.encode("Jack, Jack!")[2]
    assert words.vocab_size == len(set(words.ids.values())) == max(words.ids.values()) + 1


def test_words_that_were_never_seen_are_one_token():
    words = WordTokenizer([TEXT])
    assert words.encode("zebra Jack quagga") == [words.unknown, words.ids["Jack"], words.unknown]
    assert words.decode(words.encode("zebra!")) == f"{UNKNOWN}!"


def test_documents_are_kept_apart():
    words = WordTokenizer([TEXT])
    ids = words.encode(f"Jack {END_OF_TEXT} genius")
    assert ids[1] == words.end_of_text and len(ids) == 3
    assert words.decode(ids) == f"Jack {END_OF_TEXT} genius"


def test_ids_depend_on_the_texts_alone():
    assert WordTokenizer(["b a", "c"]).ids == WordTokenizer(["c b", "a"]).ids
