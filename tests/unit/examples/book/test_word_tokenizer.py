"""The first rung of tokenizers: whole words."""

from examples.book.word_tokenizer import UNKNOWN, WordTokenizer
from gptmill.text.tokenizer import END_OF_TEXT

TEXT = "I HAD always thought Jack Gisburn a cheap genius, though a good fellow enough. It's so!"


def test_words_and_marks_get_ids_and_come_back():
    tokenizer = WordTokenizer([TEXT])
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    assert tokenizer.encode("Jack, Jack!")[0] == tokenizer.encode("Jack, Jack!")[2]
    assert tokenizer.vocab_size == len(set(tokenizer.ids.values())) == max(tokenizer.ids.values()) + 1


def test_words_that_were_never_seen_are_one_token():
    tokenizer = WordTokenizer([TEXT])
    assert tokenizer.encode("zebra Jack quagga") == [tokenizer.unknown, tokenizer.ids["Jack"], tokenizer.unknown]
    assert tokenizer.decode(tokenizer.encode("zebra!")) == f"{UNKNOWN}!"


def test_documents_are_kept_apart():
    tokenizer = WordTokenizer([TEXT])
    ids = tokenizer.encode(f"Jack {END_OF_TEXT} genius")
    assert ids[1] == tokenizer.end_of_text and len(ids) == 3
    assert tokenizer.decode(ids) == f"Jack {END_OF_TEXT} genius"


def test_ids_depend_on_the_texts_alone():
    assert WordTokenizer(["b a", "c"]).ids == WordTokenizer(["c b", "a"]).ids
