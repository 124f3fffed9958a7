import pytest

from gptmill.config.sources import SpamParams
from gptmill.core.errors import GptmillError
from gptmill.data import classification

UCI = SpamParams(urls=[], member="", sha256="", licence="", max_megabytes=1)


def read(tmp_path, content: str | bytes):
    path = tmp_path / "spam.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return classification.read(path, UCI)


def rows(frame) -> list[tuple]:
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def test_nothing_but_a_line_feed_ends_a_message(tmp_path):
    odd = 'He said "hi\x85there\u2028\x1c \x0b' + "'; "
    assert rows(read(tmp_path, f'ham\t{odd}\nspam\t"open quote\n')) == [(1, "ham", odd), (2, "spam", '"open quote')]


def test_further_tabs_belong_to_the_message(tmp_path):
    assert rows(read(tmp_path, "ham\ta\tb")) == [(1, "ham", "a\tb")]


def test_byte_order_mark_and_carriage_returns_are_no_data(tmp_path):
    assert rows(read(tmp_path, b"\xef\xbb\xbfham\ta\r\nspam\tb \r\n")) == [(1, "ham", "a"), (2, "spam", "b ")]


def test_malformed_lines_keep_their_number_and_what_could_be_read(tmp_path):
    frame = read(tmp_path, "ham\ta\n\nspam\nno tab\nHAM\tb\nham\t\n\n")
    assert rows(frame) == [
        (1, "ham", "a"), (2, None, None), (3, "spam", None), (4, None, "no tab"), (5, "HAM", "b"), (6, "ham", ""), (7, None, None),
    ]  # fmt: skip


def test_a_file_without_tabs_is_refused(tmp_path):
    with pytest.raises(GptmillError, match="no tab in any of its 2 lines: label<TAB>text is expected"):
        read(tmp_path, "ham,a\nspam,b\n")


def test_latin_1_is_refused_with_its_place(tmp_path):
    with pytest.raises(GptmillError, match="line 2, byte 11 is 0xa3"):
        read(tmp_path, b"ham\tok\nwin \xa3100")
