import pandas as pd
import pytest

from gptmill.config.data import SpamSplitParams
from gptmill.core.errors import GptmillError
from gptmill.data import classification, leakage, near_duplicates

LONG = "the miller and his three sons went down to the river at dawn"


def measure(**texts: list[str]) -> leakage.Leakage:
    return leakage.measure({name: pd.Series(part, dtype="str") for name, part in texts.items()}, 0.8)


def test_what_is_the_same_within_a_split_is_no_leak():
    result = measure(train=[LONG, LONG.upper(), f"{LONG}s"], validation=["see you"], test=["hello", "bye", "Bye"])
    assert result == leakage.Leakage(0, 0, None) and result.report() == {"exact": 0, "near": 0}
    leakage.raise_for_leakage(result, "spam")


def test_pairs_across_splits_are_counted_each_once():
    result = measure(
        train=["ok", "OK!", LONG], validation=["o.k.", f"{LONG}s"], test=["ok", "Ok", f"{LONG}s!", "other"]
    )
    # ok: 2 and 1 and 2 rows make 2 + 4 + 2 pairs; the long one with an s: 1; near: the long one and its two variants elsewhere
    assert result.report() == {"exact": 9, "near": 2}


def test_a_leak_stops_with_a_pair_that_shows_it():
    with pytest.raises(
        GptmillError, match="spam: 0 pairs .* 1 of near-duplicates .*'the miller .* in train and 'the miller .* in test"
    ):
        leakage.raise_for_leakage(measure(train=[LONG], validation=["a"], test=[f"{LONG}s"]), "spam")


def test_the_splits_have_no_leak_and_with_a_wrong_group_column_they_have():
    texts = [
        f"{word} {LONG} {word}"
        for word in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    ]
    texts = [
        text
        for number, text in enumerate(f"{text} {'xyz'[n]}!" for text in texts for n in range(3))
        for _ in range(1 + number % 2)
    ]
    texts += [f"message {chr(97 + n)}{chr(107 + n)}{chr(104 + n)}" * 3 for n in range(15)]
    frame = pd.DataFrame({"row": range(len(texts)), "label": ["ham", "spam"] * (len(texts) // 2), "text": texts})
    params = SpamSplitParams(train=0.5, validation=0.2, method="groups", balance="none")

    def leaks(groups: pd.Series) -> leakage.Leakage:
        parts = classification.split(frame.assign(group=groups), ["ham", "spam"], params, seed=1)
        return leakage.measure({name: parts[name]["text"] for name in ("train", "validation", "natural")}, 0.8)

    assert leaks(near_duplicates.group(frame["text"], 0.8)).report() == {"exact": 0, "near": 0}
    wrong = leaks(pd.Series([str(number) for number in range(len(frame))]))
    assert wrong.exact > 0 and wrong.near > 0 and wrong.example
