import random
import re

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.core.errors import GptmillError
from gptmill.data import corpus, text_files
from gptmill.data.corpus import END_OF_TEXT, Piece
from gptmill.text.tokenizer import Tokenizer


def read(tmp_path, content: str | bytes) -> list[tuple[int, str]]:
    path = tmp_path / "corpus.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(corpus.documents(corpus.read(path)))


def in_chunks(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def divided_at_once(text: str) -> list[tuple[int, str]]:
    """What the streaming reader must give, from the whole text and in the plainest way."""
    markers = list(re.finditer(rf"\n?[^\S\n]*{re.escape(END_OF_TEXT)}[^\S\n]*\n?\ufeff?", text))
    starts, ends = [0, *(marker.end() for marker in markers)], [*(marker.start() for marker in markers), len(text)]
    result = [(1 + text.count("\n", 0, start), text[start:end]) for start, end in zip(starts, ends, strict=True)]
    return [(row, document) for row, document in result if document.strip()] or [(1, "")]


# --- documents ---


def test_documents_are_divided_at_separator_lines_and_know_their_first_line(tmp_path):
    frame = read(tmp_path, "One.\nTwo.\n<|endoftext|>\nThree.\n<|endoftext|>\nFour.\n")
    assert frame == [(1, "One.\nTwo."), (4, "Three."), (6, "Four.\n")]


def test_separators_at_either_end_separate_nothing(tmp_path):
    assert read(tmp_path, "<|endoftext|>\nOne.\n<|endoftext|>\n") == [(2, "One.")]


@pytest.mark.parametrize(("text", "documents"), [
    ("One.<|endoftext|>Two.", ["One.", "Two."]), ("One. <|endoftext|> Two.\n", ["One.", "Two.\n"]),
    ("One.\n<|endoftext|>Two.", ["One.", "Two."]), ("One.<|endoftext|>\nTwo.", ["One.", "Two."]),
    ("<|endoftext|>One.<|endoftext|>", ["One."]), ("  <|endoftext|>\t\n One.  <|endoftext|>\n\n", [" One."]),
    ("One.<|endoftext|><|endoftext|>Two.", ["One.", "Two."]), ("One.\n<|endoftext|>\n \n<|endoftext|>\nTwo.", ["One.", "Two."]),
    ("One.<|endoftext|>\ufeffTwo.<|endoftext|>\n\ufeffThree.", ["One.", "Two.", "Three."]),
    ("One.\x0c<|endoftext|>\u3000Two.", ["One.", "Two."]), ("One.\n\n<|endoftext|>\n\nTwo.", ["One.\n", "\nTwo."]),
    ("One.<<|endoftext|>>Two.", ["One.<", ">Two."]), ("<|endof<|endoftext|>text|>", ["<|endof", "text|>"]),
    ("<|endoftext|>", [""]), ("<|endoftext|>\n<|endoftext|> ", [""]), ("<|EndOfText|> <|endoftext |>", ["<|EndOfText|> <|endoftext |>"]),
])  # fmt: skip
def test_a_marker_ends_a_document_wherever_it_stands(tmp_path, monkeypatch, text, documents):
    assert [document for _, document in read(tmp_path, text)] == documents
    assert [document for _, document in corpus.documents(corpus.from_rows([(7, text)]))] == documents, (
        "in a table as in a text"
    )
    for size in (3, 4, 5, 17):
        monkeypatch.setattr(text_files, "CHUNK", size)
        monkeypatch.setattr(corpus, "PIECE_CHARACTERS", size)
        assert [document for _, document in read(tmp_path, text)] == documents


def test_documents_on_one_line_have_one_row_and_go_to_quarantine_one_by_one(tmp_path):
    (tmp_path / "raw.txt").write_text("One.\nTwo.<|endoftext|>bad<|endoftext|>Three.\n<|endoftext|>Four.")
    corpus.write(corpus.read(tmp_path / "raw.txt"), {1: "why"}, tmp_path / "clean.txt", tmp_path / "bad.parquet")
    assert (tmp_path / "clean.txt").read_text() == "One.\nTwo.\n<|endoftext|>\nThree.\n<|endoftext|>\nFour."
    assert pq.read_table(tmp_path / "bad.parquet").to_pylist() == [
        {"row": 2, "text": "bad", "characters": 3, "reasons": "why"}
    ]
    assert [row for row, _ in corpus.documents(corpus.read(tmp_path / "raw.txt"))] == [1, 2, 2, 3]


@pytest.mark.parametrize(
    "space", [" " * 999, " " * 1000, " " * 1001, " " * 5000, "\n" + " " * 1000, "\n" + " " * 1001, "\n" * 1200]
)
def test_white_space_beyond_what_goes_with_a_marker_stays_wherever_chunks_end(space):
    text = f"One.{space}{END_OF_TEXT}{space}Two."
    result = [list(corpus._split_documents(in_chunks(text, size))) for size in (1, 7, 600, 10_000)]
    for parts in result:
        texts = "".join(part + "|" * ends for _, part, ends in parts)
        assert texts == "".join(part + "|" * ends for _, part, ends in result[-1])
        assert texts.count("|") == 2 and texts.startswith("One.") and texts.endswith("Two.|")


def test_the_books_way_of_joining_gives_its_documents(tmp_path):
    """As prepare_dataset of the book's chapter 5 joins files: the marker stands right before the next one's first word."""
    books = ["First book.\n\nIt ends.\n", "\ufeffSecond book.\n", "Third."]
    assert [text for _, text in read(tmp_path, END_OF_TEXT.join(books))] == [
        "First book.\n\nIt ends.",
        "Second book.",
        "Third.",
    ]


def test_byte_order_mark_and_carriage_returns_are_no_text(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfOne.\r\n<|endoftext|>\r\nTwo.\r\n") == [(1, "One."), (3, "Two.\n")]


LINES = [
    "\n",
    END_OF_TEXT,
    f"{END_OF_TEXT}\n",
    f"\n{END_OF_TEXT}\n",
    " ",
    "a",
    "<|endof",
    "text|>",
    "\t",
    "\u2028",
    "b c\n",
    "\x85",
    "\ufeff",
]


@given(st.lists(st.sampled_from(LINES), max_size=14).map("".join).filter(str.strip), st.integers(1, 30))
def test_chunks_are_divided_as_the_whole_is(text, size):
    documents, parts = [], ""
    for row, part, ends in corpus._split_documents(in_chunks(text, size)):
        parts += part
        if ends:
            documents.append((row, parts))
            parts = ""
    assert documents == divided_at_once(text) and parts == ""


# --- pieces ---

WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2028\u3000"
ODD = "\x1c\x1f\u200b\u180e\ufeff\u0301"  # what some call white space and others don't, and a mark that joins what stands before it
MIXED = st.text(st.sampled_from("aB1é猫🐈'’s.,!?-" + WHITE + ODD), max_size=60)


DENSE = "aB1.'s \n\t\r\x1c\x85\u3000"  # few enough that every pair is merged somewhere


@pytest.fixture(scope="module")
def gpt2_like():
    """Ranks trained on noise, so that merges across a cut would show."""
    noise = random.Random(1)
    return Tokenizer.train(["".join(noise.choices(DENSE, k=50)) for _ in range(2_000)], 1500)


def in_pieces(parts: list[tuple[int, str, bool]], size: int) -> list[Piece]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "PIECE_CHARACTERS", size)
        return list(corpus._in_pieces(parts))


def is_sound(text: str, place: int) -> bool:
    """Whether tokenization can't tell that the text was cut there."""
    result = corpus._CUT.match(text, 0, place + 1)
    return bool(result) and result.end() == place


@given(text=MIXED | st.text(DENSE, max_size=40) | st.text(max_size=40), size=st.integers(1, 9))
def test_the_ids_of_pieces_are_the_ids_of_the_whole(tokenizer, gpt2_like, text, size):
    pieces = in_pieces([(1, text, True)], size)
    parts = [piece.text for piece in pieces]
    assert "".join(parts) == text and [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    if all(is_sound(text, len("".join(parts[:number]))) for number in range(1, len(parts))):  # else it was cut by force
        for ranks in (tokenizer, gpt2_like):
            assert [i for part in parts for i in ranks.encode(part)] == ranks.encode(text)


@given(st.text(DENSE, min_size=30, max_size=80) | MIXED)
def test_a_text_may_be_cut_at_every_place_before_white_space(tokenizer, gpt2_like, text):
    places = [place for place in range(1, len(text)) if is_sound(text, place)]
    parts = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    for ranks in (tokenizer, gpt2_like):
        assert [i for part in parts for i in ranks.encode(part)] == ranks.encode(text)


def test_a_text_without_white_space_is_cut_by_force_and_one_of_white_space_too():
    assert [piece.text for piece in in_pieces([(1, "x" * 25, True)], 10)] == ["x" * 10, "x" * 10, "x" * 5]
    assert [piece.text for piece in in_pieces([(1, "a b" + " " * 25, True)], 10)] == [
        "a b",
        " " * 10,
        " " * 10,
        " " * 5,
    ]


@given(st.text(st.sampled_from("ab \n"), max_size=60), st.integers(1, 20))
def test_where_a_document_is_cut_depends_on_the_document_alone(text, size):
    parts = [(1, part, False) for part in in_chunks(text, size)]
    assert in_pieces([*parts, (1, "", True)], 7) == in_pieces([(1, text, True)], 7)


# --- tables, and what is kept ---


def test_rows_of_a_table_are_documents_as_a_file_would_hold_them():
    rows = [(2, "a\r\nb"), (3, None), (4, ""), (5, "half \ud83d")]
    assert list(corpus.from_rows(rows)) == [
        Piece(2, "a\nb", True),
        Piece(3, None, True),
        Piece(4, "", True),
        Piece(5, "half \ufffd", True),
    ]


def test_what_is_kept_divides_into_the_same_documents_and_the_rest_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "PIECE_CHARACTERS", 8)
    monkeypatch.setattr(corpus, "QUARANTINED_CHARACTERS", 12)
    monkeypatch.setattr(corpus, "QUARANTINED_AT_ONCE", 2)
    texts = {1: "<html> is a text here", 2: "bad " * 10, 3: "Two.\n\nThree.", 4: None, 5: "", 6: "Four.\n"}
    reasons = {1: "why", 3: "missing", 4: "empty"}  # by the document's number, from 0
    corpus.write(corpus.from_rows(texts.items()), reasons, tmp_path / "clean.txt", tmp_path / "bad.parquet")
    kept = [text for _, text in corpus.documents(corpus.read(tmp_path / "clean.txt", cleaned=True))]
    assert kept == [texts[1], texts[3], texts[6]]
    assert pq.read_table(tmp_path / "bad.parquet").to_pylist() == [
        {"row": 2, "text": "bad bad bad ", "characters": 40, "reasons": "why"},
        {"row": 4, "text": None, "characters": 0, "reasons": "missing"},
        {"row": 5, "text": "", "characters": 0, "reasons": "empty"},
    ]


def test_a_single_document_comes_out_as_it_went_in(tmp_path):
    text = "I HAD always thought\u2028\n\n--though a good fellow enough--\x85 \n"
    (tmp_path / "raw.txt").write_text(text)
    corpus.write(corpus.read(tmp_path / "raw.txt"), {}, tmp_path / "clean.txt", tmp_path / "bad.parquet")
    assert (tmp_path / "clean.txt").read_bytes() == text.encode()
    assert pq.read_schema(tmp_path / "bad.parquet").names == ["row", "text", "characters", "reasons"]


# --- what is no text ---

SPOILED = [
    (b"", "is empty"),
    (b" \n\t\r\n", "is empty"),
    (b"\xef\xbb\xbf", "is empty"),
    (b"fine\nna\xefve caf\xe9", "is not UTF-8: line 2, byte 7 is 0xef.*iconv -f WINDOWS-1252"),
    (b"\xef\xbb\xbffine\nna\xefve", "line 2, byte 10 is 0xef"),
    (b"fine\r\n\ncut off \xe7\x8c", "ends in the middle of a character, at line 3"),
    (b"fine\ncut short \xe7\x8c\nmore", "line 2, byte 15 is 0xe7"),
    ("Once".encode("utf-16"), "is UTF-16.*iconv"),
    (b"\n <!DOCTYPE html><html>404</html>", "is an HTML or XML page"),
    (b"<?xml version='1.0'?><Error/>", "is an HTML or XML page"),
    (b"\x1f\x8b\x08\x00", "is not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), SPOILED)
def test_what_is_no_text_is_refused_in_one_sentence(tmp_path, content, message):
    with pytest.raises(GptmillError, match=message) as refusal:
        read(tmp_path, content)
    assert str(tmp_path / "corpus.txt") in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(("content", "message"), [case for case in SPOILED if "page" not in case[1]])
def test_it_is_refused_in_the_same_words_wherever_chunks_end(tmp_path, monkeypatch, content, message):
    for size in range(3, 12):
        monkeypatch.setattr(text_files, "CHUNK", size)
        with pytest.raises(GptmillError, match=message):
            read(tmp_path, content)


@given(text=st.text(st.sampled_from("aé猫🐈\r\n "), max_size=30), bom=st.booleans(), size=st.integers(3, 12))
def test_chunks_of_bytes_are_the_whole_text(tmp_path_factory, text, bom, size):
    path = tmp_path_factory.mktemp("chunks") / "corpus.txt"
    path.write_bytes(b"\xef\xbb\xbf" * bom + f"x{text}".encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "CHUNK", size)
        assert text_files.read(path) == f"x{text}".replace("\r\n", "\n")


def test_a_missing_file_or_a_folder_says_how_to_bring_it(tmp_path):
    with pytest.raises(GptmillError, match="not found.*dvc repro"):
        list(corpus.read(tmp_path / "corpus.txt"))
    with pytest.raises(GptmillError, match="is a folder"):
        list(corpus.read(tmp_path))
