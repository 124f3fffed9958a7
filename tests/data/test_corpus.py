import pytest

from gptmill.data import corpus
from gptmill.errors import GptmillError


def read(tmp_path, content: str | bytes):
    path = tmp_path / "corpus.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return corpus.read(path)


def documents(frame) -> list[tuple[int, str]]:
    return list(zip(frame["row"], frame["text"], strict=True))


def test_documents_are_divided_at_separator_lines_and_know_their_first_line(tmp_path):
    frame = read(tmp_path, "One.\nTwo.\n<|endoftext|>\nThree.\n<|endoftext|>\nFour.\n")
    assert documents(frame) == [(1, "One.\nTwo."), (4, "Three."), (6, "Four.\n")]


def test_a_single_document_comes_out_as_it_went_in(tmp_path):
    text = "I HAD always thought\u2028\n\n--though a good fellow enough--\x85 \n"
    assert corpus.join(read(tmp_path, text)["text"]) == text


def test_joined_documents_divide_into_the_same_documents(tmp_path):
    texts = ["One.", "Two.\n\nThree.", "Four.\n"]
    assert list(read(tmp_path, corpus.join(texts))["text"]) == texts


def test_separators_at_either_end_separate_nothing(tmp_path):
    assert documents(read(tmp_path, "<|endoftext|>\nOne.\n<|endoftext|>\n")) == [(2, "One.")]


def test_an_empty_document_between_separators_is_kept_for_the_expectations(tmp_path):
    assert documents(read(tmp_path, "One.\n<|endoftext|>\n<|endoftext|>\nTwo.")) == [(1, "One."), (3, ""), (4, "Two.")]


def test_a_separator_within_a_line_is_text(tmp_path):
    assert len(read(tmp_path, "One.<|endoftext|>Two.\n")) == 1


def test_byte_order_mark_and_carriage_returns_are_no_text(tmp_path):
    frame = read(tmp_path, b"\xef\xbb\xbfOne.\r\n<|endoftext|>\r\nTwo.\r\n")
    assert documents(frame) == [(1, "One."), (3, "Two.\n")]


def test_counts(tmp_path):
    frame = read(tmp_path, "One two.\n<|endoftext|>\nThree.\n<|endoftext|>\none  TWO.")
    assert corpus.describe(frame) == {"characters": 8 + 6 + 9, "words": 5, "documents": 3, "duplicates": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n", "is empty"),
        (b"fine\nna\xefve caf\xe9", "is not UTF-8: line 2, byte 7 is 0xef.*iconv -f WINDOWS-1252"),
        (b"\xef\xbb\xbffine\nna\xefve", "line 2, byte 10 is 0xef"),
        ("Once".encode("utf-16"), "is UTF-16.*iconv"),
        (b"\n <!DOCTYPE html><html>404</html>", "is an HTML or XML page"),
        (b"<?xml version='1.0'?><Error/>", "is an HTML or XML page"),
        (b"\x1f\x8b\x08\x00", "is not UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_in_one_sentence(tmp_path, content, message):
    with pytest.raises(GptmillError, match=message) as refusal:
        read(tmp_path, content)
    assert str(tmp_path / "corpus.txt") in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_missing_file_or_a_folder_says_how_to_bring_it(tmp_path):
    with pytest.raises(GptmillError, match="is not here.*dvc repro"):
        corpus.read(tmp_path / "corpus.txt")
    with pytest.raises(GptmillError, match="is a folder"):
        corpus.read(tmp_path)
