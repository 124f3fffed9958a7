from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.data import corpus, text_files
from gptmill.data.validation import corpus_stats


def measure(texts: list[str | None], size: int = 1 << 18):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "PIECE_CHARACTERS", size)
        return corpus_stats.measure(list(corpus.from_rows(enumerate(texts, start=1))))


TEXT = st.text(st.sampled_from("ab É\u00a0ﬁ猫ก\n\t\x00\x07\ufffd\u2028"), max_size=40)


@given(st.lists(TEXT, min_size=1, max_size=6), st.sampled_from([1, 3, 7, 1000]))
def test_numbers_of_pieces_are_those_of_whole_texts(texts, size):
    frame = measure(texts, size)
    assert frame["row"].tolist() == list(range(1, len(texts) + 1))
    assert frame["text_characters"].tolist() == [len(text) for text in texts]
    assert frame["text_visible_characters"].tolist() == [len(text.strip()) for text in texts]
    assert frame["text_bytes"].tolist() == [len(text.encode()) for text in texts]
    assert frame["text_control_characters"].tolist() == [
        len(text_files.CONTROL_CHARACTERS.findall(text)) for text in texts
    ]
    spaced = [text.replace("猫", " ").replace("ก", " ") for text in texts]  # nor do these scripts need white space
    assert frame["text_unbroken_characters"].tolist() == [max(map(len, text.split()), default=0) for text in spaced]
    assert frame["words"].tolist() == [len(text.split()) for text in texts]


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_duplicates_are_texts_that_normalise_to_the_same(texts):
    seen = Counter(map(text_files.normalise, texts))
    assert corpus_stats.describe(measure(texts))["duplicates"] == len(texts) - len(seen)


def test_long_duplicates_are_found_although_they_come_in_pieces():
    long = "The miller's cat sailed on the sea. " * 20
    counts = corpus_stats.describe(measure([long, "x", long.upper().replace(" ", "\n ")], size=50))
    assert counts == {"characters": 3 * 720 + 140 + 1 - 720, "words": 281, "documents": 3, "duplicates": 1}


def test_where_a_word_was_cut_by_force_is_no_white_space():
    assert corpus_stats.describe(measure(["a" * 8, "aaaaaaa a", "aaaaaaa\na"], size=7))["duplicates"] == 1


def test_a_chapter_in_a_script_without_spaces_is_no_unbroken_junk():
    texts = ["我们今天去公园，天气很好。" * 2000, "วันนี้อากาศดี" * 2000, "我" + "x" * 300 + "们", "x" * 300]
    for size in (1 << 18, 7):
        assert measure(texts, size)["text_unbroken_characters"].tolist() == [1, 0, 300, 300]


def test_counts():
    frame = measure(["One two.", "Three.", "one  TWO.", None])
    assert corpus_stats.describe(frame) == {"characters": 8 + 6 + 9, "words": 5, "documents": 4, "duplicates": 1}
    assert frame["text_characters"].isna().tolist() == [False, False, False, True]


def test_names_of_special_tokens_are_counted():
    markers = Counter()
    texts = [
        "<|im_start|>user\nHi<|im_end|>",
        "<s>[INST] a [/INST]</s>",
        None,
        "[CLS] x [SEP]<pad><pad>",
        "a <| b |> c <|> [S] <sp> <S>",
    ]
    texts += [
        "<|begin_of_text|><|eot_id|>",
        "<start_of_turn>",
        "<<SYS>> <</SYS>>",
        "<｜begin▁of▁sentence｜>",
        "<extra_id_0>",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "PIECE_CHARACTERS", 30)
        corpus_stats.measure(corpus.from_rows(enumerate(texts)), markers)
    once = [
        "<|im_start|>",
        "<|im_end|>",
        "<s>",
        "[INST]",
        "[/INST]",
        "</s>",
        "[CLS]",
        "[SEP]",
        "<|begin_of_text|>",
        "<|eot_id|>",
    ]
    once += ["<start_of_turn>", "<<SYS>>", "<</SYS>>", "<｜begin▁of▁sentence｜>", "<extra_id_0>"]
    assert markers == dict.fromkeys(once, 1) | {"<pad>": 2}


# --- repeated lines ---

LINE = "This line is long enough to count: number {}."


def repeated_share(texts: list[str], size: int = 1 << 18) -> float:
    return measure(texts, size)["repeated_line_share"].sum()


def test_lines_that_stood_before_are_counted_within_documents_and_across_them():
    texts = ["\n".join(LINE.format(n) for n in (1, 2, 2, 3)), "\n".join(LINE.format(n) for n in (4, 1, 5, 6))]
    for size in (1000, 60, 7):
        assert repeated_share(texts, size) == pytest.approx(2 / 8)
    assert measure(texts)["repeated_line_share"].tolist() == [1 / 8, 1 / 8]


def test_blank_and_short_lines_may_come_back_as_often_as_they_like():
    assert repeated_share(["ROMEO:\n\n" * 50 + " " * 30 + "\n" + " " * 30]) == 0


def test_what_does_not_fit_into_memory_is_estimated(monkeypatch):
    monkeypatch.setattr(corpus_stats, "LINES_REMEMBERED", 200)
    different = [LINE.format(n) for n in range(6000)]
    assert repeated_share(["\n".join(different)]) == pytest.approx(0, abs=0.1)
    assert repeated_share(["\n".join(different[:3000] * 2)]) == pytest.approx(0.5, abs=0.1)
    assert repeated_share(["\n".join([*different[:3000], *different[:1] * 3000])]) == pytest.approx(0.5, abs=0.1)


def test_no_more_lines_are_remembered_than_the_bound(monkeypatch):
    monkeypatch.setattr(corpus_stats, "LINES_REMEMBERED", 100)
    lines = corpus_stats._Lines()
    for n in range(5000):
        lines.weigh(n.to_bytes(8, "little"))
        assert len(lines._seen) <= 100
