"""Splits of messages and records by group: shares, classes, order and seed."""

import random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptmill.config.data import InstructionSplitParams, SpamSplitParams
from gptmill.core.errors import GptmillError
from gptmill.data import classification, instructions, near_duplicates, splits, text_files

LABELS = ["ham", "spam"]
PARTS = ("train", "validation", "test")


def params(balance: str = "none", train: float = 0.7, validation: float = 0.1) -> SpamSplitParams:
    return SpamSplitParams(train=train, validation=validation, method="groups", balance=balance)


def messages(**counts: int) -> pd.DataFrame:
    """So many messages of each label, none like another."""
    rows = [
        (label, f"{label[0]}{n:03d} see you")
        for label, count in (counts or {"ham": 80, "spam": 20}).items()
        for n in range(count)
    ]
    return grouped(pd.DataFrame(rows, columns=["label", "text"]))


def grouped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(row=range(1, len(frame) + 1), group=list(near_duplicates.group(frame["text"], 0.8)))


def split(frame: pd.DataFrame, balance: str = "none", seed: int = 1, labels=LABELS) -> dict[str, pd.DataFrame]:
    return classification.split(frame, labels, params(balance), seed)


def test_the_splits_have_every_row_once_in_their_shares():
    parts = split(messages())
    assert {name: len(parts[name]) for name in PARTS} == {"train": 70, "validation": 10, "test": 20}
    assert list(parts["train"].columns) == ["label", "text"]
    assert sorted(pd.concat([parts[name] for name in PARTS])["text"]) == sorted(messages()["text"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), min_size=12, max_size=40), st.integers(0, 99))
def test_each_split_has_its_share_of_each_class_to_within_one_group(groups, seed):
    rows = [(label, f"{number} {n}", str(number)) for number, (label, size) in enumerate(groups) for n in range(size)]
    frame = pd.DataFrame(rows, columns=["label", "text", "group"])
    shares = params(train=0.6, validation=0.2)
    parts = splits.assign_groups(splits.sort_by_hash(frame, seed), shares, stratum="label")
    for label in set(frame["label"]):
        largest = max(size for its, size in groups if its == label)
        total = (frame["label"] == label).sum()
        taken = [(parts[name]["label"] == label).sum() for name in PARTS]
        assert sum(taken) == total
        for have, share in zip(taken, (0.6, 0.2, 0.2), strict=True):
            assert abs(have - share * total) <= largest


def test_undersampling_takes_as_many_of_each_class_as_the_rarest_has_within_each_split():
    parts = split(messages(ham=80, spam=20, news=40), "undersample", labels=["ham", "spam", "news"])
    for name, count in (("train", 14), ("validation", 2), ("test", 4)):
        assert parts[name]["label"].value_counts().to_dict() == {"ham": count, "spam": count, "news": count}


def test_the_natural_split_is_the_test_split_before_undersampling():
    natural, balanced = split(messages()), split(messages(), "undersample")
    pd.testing.assert_frame_equal(balanced["natural"], natural["test"])
    assert set(balanced["test"]["text"]) < set(natural["test"]["text"])
    for balance in ("none", "weights"):
        parts = split(messages(), balance)
        pd.testing.assert_frame_equal(parts["natural"], parts["test"])


def test_with_weights_nothing_is_dropped():
    for one, other in zip(split(messages(), "weights").values(), split(messages(), "none").values(), strict=True):
        pd.testing.assert_frame_equal(one, other)


@given(st.randoms(use_true_random=False), st.sampled_from(["none", "undersample"]))
def test_the_order_of_the_rows_decides_nothing(rng, balance):
    frame = messages(ham=30, spam=12)
    order = rng.sample(range(len(frame)), len(frame))
    shuffled = frame.iloc[order].assign(row=range(1, len(frame) + 1))
    for one, other in zip(split(frame, balance).values(), split(shuffled, balance).values(), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_the_seed_decides():
    assert set(split(messages(), seed=1)["test"]["text"]) != set(split(messages(), seed=2)["test"]["text"])


def test_copies_with_changed_case_spacing_and_punctuation_never_straddle_splits():
    rng = random.Random(0)
    words = [
        "mill",
        "cat",
        "river",
        "dawn",
        "sons",
        "bread",
        "stone",
        "wheel",
        "grain",
        "sack",
        "king",
        "road",
        "moon",
        "song",
        "snow",
    ]
    rows = [("spam" if n % 3 == 0 else "ham", " ".join(rng.choices(words, k=rng.randint(1, 14)))) for n in range(900)]
    changes = [
        str.upper,
        str.title,
        lambda t: t.replace(" ", "  "),
        lambda t: t.replace(" ", ", ") + "!!",
        lambda t: t.replace(" ", "-"),
    ]
    copies = [
        ("spam" if n % 10 == 0 else label, rng.choice(changes)(text))
        for n, (label, text) in enumerate(rng.sample(rows, 300))
    ]
    frame = grouped(pd.DataFrame(rows + copies, columns=["label", "text"]))
    for balance in ("none", "undersample"):
        parts = split(frame, balance, seed=5)
        keys = [set(parts[name]["text"].map(text_files.grouping_key)) for name in ("train", "validation", "natural")]
        assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
        assert not list(near_duplicates.cross_split_pairs({str(side): keys[side] for side in range(3)}, 0.8))


def test_a_large_group_stays_together_and_goes_with_the_label_that_most_of_it_has():
    large = pd.DataFrame({"label": ["ham"] * 6 + ["spam"] * 24, "text": ["Ok lar...", "ok, LAR"] * 15})
    frame = grouped(pd.concat([messages()[["label", "text"]], large], ignore_index=True))
    parts = split(frame)
    assert sum("lar" in " ".join(parts[name]["text"]).casefold() for name in PARTS) == 1
    # The others' classes are divided as if the group's few ham were not there.
    ham = [parts[name]["text"].str.startswith("h").sum() for name in PARTS]
    assert ham == [56, 8, 16]


def test_too_few_rows_say_which_split_would_be_empty_and_what_to_do():
    with pytest.raises(
        GptmillError, match=r"the test split would be empty: 4 rows.*split\.spam or .*near_duplicate_similarity"
    ):
        split(messages(ham=2, spam=2))
    with pytest.raises(GptmillError, match=r"instructions: the test split would be empty.*split\.instructions"):
        instructions.split(records(3), InstructionSplitParams(train=0.8, validation=0.1, method="groups"), seed=1)


@pytest.mark.parametrize(
    ("balance", "spam_rows", "where"), [("undersample", 2, "test"), ("none", 0, "train"), ("weights", 0, "train")]
)
def test_a_class_that_a_split_needs_and_has_not_is_named(balance, spam_rows, where):
    with pytest.raises(GptmillError, match=f"spam: the {where} split would have no row of class spam"):
        split(messages(ham=30, spam=spam_rows), balance)


# --- records ---


def records(count: int = 60) -> pd.DataFrame:
    words = ["cat", "mill", "river", "stone", "bread", "wolf", "moon", "king", "song", "wheel"]
    asked = [f"Use {words[n % 10]} and {words[n // 10]} in {n} words" for n in range(count)]
    frame = pd.DataFrame(
        [{"row": n + 1, "instruction": text, "input": "", "output": str(n)} for n, text in enumerate(asked)]
    )
    return frame.assign(group=list(near_duplicates.group(instructions.questions(frame), 0.95)))


SHARES = InstructionSplitParams(train=0.8, validation=0.1, method="groups")


def test_the_splits_have_every_record_once_in_their_shares():
    parts = instructions.split(records(), SHARES, seed=1)
    assert {name: len(part) for name, part in parts.items()} == {"train": 48, "validation": 6, "test": 6}
    assert list(parts["test"].columns) == ["instruction", "input", "output"]
    assert sorted(pd.concat(parts.values())["output"]) == sorted(records()["output"])


def test_records_that_ask_the_same_stay_together_whatever_the_answer():
    frame = records()
    copies = frame.assign(
        instruction=frame["instruction"].str[:3].str.upper(), input=frame["instruction"].str[4:] + "!", output="no idea"
    )
    both = pd.concat([frame, copies], ignore_index=True)
    both["group"] = list(near_duplicates.group(instructions.questions(both), 0.95))
    parts = instructions.split(both, SHARES, seed=1)
    asked = [set((part["instruction"] + part["input"]).str.extract(r"(\d+)")[0]) for part in parts.values()]
    assert sum(map(len, asked)) == len(set.union(*asked)) == 60


def test_the_order_of_the_records_decides_nothing():
    shuffled = records().sample(frac=1, random_state=3)
    for one, other in zip(
        instructions.split(records(), SHARES, 1).values(), instructions.split(shuffled, SHARES, 1).values(), strict=True
    ):
        pd.testing.assert_frame_equal(one, other)
