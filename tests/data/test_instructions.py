import json

import pandas as pd
import pytest

from gptmill.data import instructions
from gptmill.errors import GptmillError
from gptmill.params import InstructionsParams, SharesParams
from gptmill.params.sources import STANDARD

ALPACA = InstructionsParams(urls=[], member="", sha256="", licence="", max_megabytes=1, **STANDARD["instructions"])
SHARES = SharesParams(train=0.8, validation=0.1)


def read(tmp_path, content):
    path = tmp_path / "instructions.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return instructions.read(path, ALPACA)


def rows(frame) -> list[tuple]:
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def records(count: int = 60) -> pd.DataFrame:
    return pd.DataFrame([{"row": n + 1, "instruction": f"Double {n}", "input": "", "output": str(2 * n)} for n in range(count)])


def test_records_are_numbered_from_one(tmp_path):
    record = {"instruction": "Add.", "input": "1, 2", "output": "3"}
    assert rows(read(tmp_path, [record, record])) == [(1, "Add.", "1, 2", "3"), (2, "Add.", "1, 2", "3")]


def test_a_record_without_input_has_an_empty_one(tmp_path):
    assert rows(read(tmp_path, [{"instruction": "a", "output": "b"}, {"instruction": "a", "input": None, "output": "b"}])) == [
        (1, "a", "", "b"), (2, "a", "", "b"),
    ]  # fmt: skip


def test_what_is_no_string_or_no_record_becomes_null_and_is_not_dropped(tmp_path):
    frame = read(tmp_path, ["text", None, {"instruction": 7, "input": ["x"], "output": {"a": 1}}, {"input": "", "output": "b"}])
    assert rows(frame) == [(1, None, None, None), (2, None, None, None), (3, None, None, None), (4, None, "", "b")]


def test_half_a_surrogate_pair_becomes_the_mark_for_undecodable(tmp_path):
    assert read(tmp_path, rb'[{"instruction": "a\ud83d\ude00", "output": "b\ud800"}]')["output"][0] == "b\ufffd"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'[{"instruction": "a"},\n {"inst', "is not JSON: Unterminated string starting at at line 2, column 3"),
        (b'{"instruction": "a"}\n{"instruction": "b"}\n', "Extra data at line 2, column 1.*put them into one list"),
        (b'{"data": []}', "is JSON, but no list: a list of records"),
        (b"[]", "is an empty list"),
        (b"[" * 100_000, "is JSON that can't be read"),
        (b"[" + b"9" * 5000 + b"]", "is JSON that can't be read"),
        (b"<html><body>404</body></html>", "is an HTML or XML page"),
        (b'[{"instruction": "caf\xe9"}]', "is not UTF-8: line 1, byte 21"),
    ],
)
def test_what_is_no_list_of_records_is_refused_in_one_sentence(tmp_path, content, message):
    with pytest.raises(GptmillError, match=message) as refusal:
        read(tmp_path, content)
    assert "\n" not in str(refusal.value)


def test_duplicates_ask_the_same(tmp_path):
    frame = read(tmp_path, [
        {"instruction": "Add.", "input": "1, 2", "output": "3"},
        {"instruction": "add. ", "input": "1,  2", "output": "three"},
        {"instruction": "Add.", "input": "1, 3", "output": "4"},
        {"instruction": "Say hi.", "output": "Hi"},
        {"output": "Hi"},
    ])  # fmt: skip
    assert instructions.describe(frame) == {"records": 5, "with_input": 3, "duplicates": 1}


def test_the_splits_have_every_record_once_in_their_shares():
    parts = instructions.split(records(), SHARES, seed=1)
    assert {name: len(part) for name, part in parts.items()} == {"train": 48, "validation": 6, "test": 6}
    assert sorted(pd.concat(parts.values())["output"]) == sorted(records()["output"])


def test_records_that_ask_the_same_stay_together_whatever_the_answer():
    copies = records()
    copies["instruction"], copies["input"], copies["output"] = "DOUBLE:", copies["instruction"].str[7:] + "!", "no idea"
    parts = instructions.split(pd.concat([records(), copies]), SHARES, seed=1)
    asked = [set((part["instruction"] + part["input"]).str.extract(r"(\d+)")[0]) for part in parts.values()]
    assert sum(map(len, asked)) == len(set.union(*asked)) == 60


def test_the_order_of_the_records_decides_nothing():
    shuffled = records().sample(frac=1, random_state=3)
    for one, other in zip(instructions.split(records(), SHARES, 1).values(), instructions.split(shuffled, SHARES, 1).values(), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_too_few_records_say_which_split_would_be_empty():
    with pytest.raises(GptmillError, match=r"instructions: the test split would be empty.*split\.instructions"):
        instructions.split(records(3), SHARES, seed=1)
