import random

import pandas as pd
import pytest

from gptmill.data import rawtext, spam
from gptmill.errors import GptmillError
from gptmill.params import SpamParams, SpamSplitParams
from gptmill.params.sources import STANDARD

LABELS = ["ham", "spam"]
UCI = SpamParams(urls=[], member="", sha256="", licence="", max_megabytes=1, **STANDARD["spam"])
NATURAL = SpamSplitParams(train=0.7, validation=0.1, balance="none")
BALANCED = SpamSplitParams(train=0.7, validation=0.1, balance="undersample")


def read(tmp_path, content: str | bytes):
    path = tmp_path / "spam.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return spam.read(path, UCI)


def rows(frame) -> list[tuple]:
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def messages(ham: int = 80, spam: int = 20) -> pd.DataFrame:
    labels = ["ham"] * ham + ["spam"] * spam
    texts = [f"Message number {n}: see you" if n % 2 else f"message No. {n}, BYE" for n in range(ham + spam)]
    return pd.DataFrame({"row": range(1, len(texts) + 1), "label": labels, "text": texts})


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


def test_duplicates_are_counted_whatever_their_case_and_spacing(tmp_path):
    frame = read(tmp_path, "ham\tCall me\nham\tcall  ME \nspam\tＣall me\nham\tcall me!\nham\n")
    assert spam.describe(frame, LABELS) == {"messages": 5, "ham": 4, "spam": 1, "duplicates": 2}


def test_the_splits_have_every_row_once_in_their_shares():
    parts = spam.split(messages(), NATURAL, seed=1, labels=LABELS)
    assert {name: len(part) for name, part in parts.items()} == {"train": 70, "validation": 10, "test": 20}
    assert list(parts["train"].columns) == ["label", "text"]
    assert sorted(pd.concat(parts.values())["text"]) == sorted(messages()["text"])


def test_each_split_has_its_share_of_each_label():
    parts = spam.split(messages(), NATURAL, seed=1, labels=LABELS)
    assert {name: (part["label"] == "spam").sum() for name, part in parts.items()} == {"train": 14, "validation": 2, "test": 4}


def test_undersampling_takes_as_many_ham_as_spam():
    parts = spam.split(messages(), BALANCED, seed=1, labels=LABELS)
    taken = pd.concat(parts.values())
    assert taken["label"].value_counts().to_dict() == {"ham": 20, "spam": 20}
    assert all((part["label"] == "spam").mean() == 0.5 for part in parts.values())


def test_the_order_of_the_rows_decides_nothing():
    frame = messages()
    shuffled = frame.sample(frac=1, random_state=3)
    shuffled["row"] = range(1, len(frame) + 1)
    for params in (NATURAL, BALANCED):
        for one, other in zip(
            spam.split(frame, params, 1, labels=LABELS).values(), spam.split(shuffled, params, 1, labels=LABELS).values(), strict=True
        ):
            pd.testing.assert_frame_equal(one, other)


def test_the_seed_decides():
    one, other = spam.split(messages(), BALANCED, 1, labels=LABELS), spam.split(messages(), BALANCED, 2, labels=LABELS)
    assert set(one["test"]["text"]) != set(other["test"]["text"])


def test_copies_with_changed_case_spacing_and_punctuation_never_straddle_splits():
    rng = random.Random(0)
    frame = messages(300, 300)
    copies = frame.sample(150, random_state=0)
    changes = [str.upper, str.title, lambda t: t.replace(" ", "  "), lambda t: t.replace(" ", ", ") + "!!", lambda t: t.replace(" ", "")]
    copies["text"] = [rng.choice(changes)(text) for text in copies["text"]]
    copies["label"] = ["spam" if n % 10 == 0 else label for n, label in enumerate(copies["label"])]  # some contradict the original
    for params in (NATURAL, BALANCED):
        parts = spam.split(pd.concat([frame, copies]), params, seed=5, labels=LABELS)
        keys = [set(part["text"].map(rawtext.grouping_key)) for part in parts.values()]
        assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]


def test_a_large_group_stays_together():
    frame = pd.concat([messages(), pd.DataFrame({"label": ["ham"] * 30, "text": ["Ok lar...", "ok, LAR"] * 15})])
    parts = spam.split(frame, NATURAL, seed=1, labels=LABELS)
    assert sum("lar" in " ".join(part["text"]).casefold() for part in parts.values()) == 1


def test_too_few_rows_say_which_split_would_be_empty_and_what_to_do():
    with pytest.raises(GptmillError, match=r"spam: the test split would be empty: 4 rows.*Change split\.spam in params\.yaml"):
        spam.split(messages(2, 2), NATURAL, seed=1, labels=LABELS)
    with pytest.raises(GptmillError, match="train split would be empty: 0 rows"):
        spam.split(messages(9, 0), BALANCED, seed=1, labels=LABELS)
