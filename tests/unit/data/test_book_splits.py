"""The book's own splits, against what its notebooks do, on files made here: with quotes, as the real one has them."""

import random

import pandas as pd
import pytest

from gptmill.config.data import InstructionSplitParams, SpamSplitParams
from gptmill.core.errors import GptmillError
from gptmill.data import classification, instructions

BOOK = SpamSplitParams(train=0.7, validation=0.1, method="book", balance="undersample")
LABELS = ["ham", "spam"]


def messages(count: int = 150) -> pd.DataFrame:
    """Messages of which two open a quote that later ones close, so that pandas reads fewer rows than there are lines."""
    rng = random.Random(4)
    rows = [
        ("spam" if rng.random() < 0.2 else "ham", f"message {n} says 'hi' to {rng.randrange(9)}") for n in range(count)
    ]
    rows[10], rows[12] = ("ham", '"open and'), ("ham", 'closed" here')
    rows[20], rows[40] = ("ham", '"whole"'), ("ham", "NA")
    frame = pd.DataFrame(rows, columns=["label", "text"])
    return frame.assign(row=range(1, count + 1), group=frame["text"])


def as_the_notebook_does(path) -> dict[str, pd.DataFrame]:
    """Chapter 6.2, written down anew."""
    table = pd.read_csv(path, sep="\t", header=None, names=["label", "text"])
    rare = table[table["label"] == "spam"]
    common = table[table["label"] == "ham"].sample(rare.shape[0], random_state=123)
    table = pd.concat([common, rare]).sample(frac=1, random_state=123).reset_index(drop=True)
    first, second = int(len(table) * 0.7), int(len(table) * 0.7) + int(len(table) * 0.1)
    return {"train": table[:first], "validation": table[first:second], "test": table[second:]}


def test_messages_are_split_as_the_notebook_splits_them(tmp_path):
    frame = messages()
    path = tmp_path / "sms"
    path.write_text("".join(f"{label}\t{text}\n" for label, text in zip(frame["label"], frame["text"], strict=True)))
    assert len(pd.read_csv(path, sep="\t", header=None)) == len(frame) - 2
    parts = classification.split(frame.sample(frac=1, random_state=1), LABELS, BOOK, seed=123)
    for name, expected in as_the_notebook_does(path).items():
        assert parts[name].to_dict("list") == expected.fillna("NA").to_dict("list"), name


def test_the_natural_test_split_has_the_classes_as_the_file_has_them_and_nothing_of_the_others():
    frame = messages(400)
    parts = classification.split(frame, LABELS, BOOK, seed=123)
    natural = parts["natural"]
    assert (natural["label"] == "spam").mean() == pytest.approx((frame["label"] == "spam").mean(), abs=0.02)
    assert set(parts["test"]["text"]) < set(natural["text"])
    assert not set(natural["text"]) & (set(parts["train"]["text"]) | set(parts["validation"]["text"]))


@pytest.mark.parametrize(("labels", "change", "reason"), [
    (["ham", "spam", "news"], {}, "is for two classes; there are 3"),
    (["spam", "ham"], {}, "as many spam as ham, and there are fewer"),
    (LABELS, {"text": "two\nlines"}, "row 6 holds a line end"),
])  # fmt: skip
def test_what_is_not_the_books_kind_of_file_is_refused(labels, change, reason):
    frame = messages()
    for column, value in change.items():
        frame.loc[5, column] = value
    with pytest.raises(GptmillError, match=f"{reason}.*method: groups"):
        classification.split(frame, labels, BOOK, seed=123)


@pytest.mark.parametrize(("count", "sizes"), [(1100, (935, 55, 110)), (200, (170, 10, 20)), (33, (28, 2, 3))])
def test_records_are_split_as_the_notebook_splits_them(count, sizes):
    frame = pd.DataFrame(
        [
            {"row": n, "instruction": f"Double {n}", "input": "", "output": str(2 * n), "group": "g"}
            for n in range(count)
        ]
    )
    parts = instructions.split(frame, InstructionSplitParams(train=0.85, validation=0.05, method="book"), seed=7)
    assert tuple(len(parts[name]) for name in ("train", "validation", "test")) == sizes
    in_file_order = pd.concat([parts["train"], parts["test"], parts["validation"]])["output"].tolist()
    assert in_file_order == frame["output"].tolist()
