import json

import pandas as pd
import pytest

from gptmill.config.sources import InstructionsParams
from gptmill.core.errors import GptmillError
from gptmill.data import instructions

ALPACA = InstructionsParams(urls=[], member="", sha256="", licence="", max_megabytes=1)


def read(tmp_path, content):
    path = tmp_path / "instructions.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return instructions.read(path, ALPACA)


def rows(frame) -> list[tuple]:
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def test_records_are_numbered_from_one(tmp_path):
    record = {"instruction": "Add.", "input": "1, 2", "output": "3"}
    assert rows(read(tmp_path, [record, record])) == [(1, "Add.", "1, 2", "3"), (2, "Add.", "1, 2", "3")]


def test_a_record_without_input_has_an_empty_one(tmp_path):
    assert rows(read(tmp_path, [{"instruction": "a", "output": "b"}, {"instruction": "a", "input": None, "output": "b"}])) == [
        (1, "a", "", "b"), (2, "a", "", "b"),
    ]  # fmt: skip


def test_what_is_no_string_or_no_record_becomes_null_and_is_not_dropped(tmp_path):
    frame = read(
        tmp_path, ["text", None, {"instruction": 7, "input": ["x"], "output": {"a": 1}}, {"input": "", "output": "b"}]
    )
    assert rows(frame) == [(1, None, None, None), (2, None, None, None), (3, None, None, None), (4, None, "", "b")]


def test_half_a_surrogate_pair_becomes_the_mark_for_undecodable(tmp_path):
    assert read(tmp_path, rb'[{"instruction": "a\ud83d\ude00", "output": "b\ud800"}]')["output"][0] == "b\ufffd"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'[{"instruction": "a"},\n {"inst', "is not JSON: Unterminated string starting at at line 2, column 3"),
        (
            b'{"instruction": "a"}\n{"instruction": "b"}\n',
            "Extra data at line 2, column 1.*put the records into one list",
        ),
        (b'{"data": []}', "is JSON, but not a list: a list of records"),
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


def test_a_question_is_instruction_and_input_whatever_the_answer():
    frame = pd.DataFrame(
        {"instruction": ["Add.", None, "Say hi."], "input": ["1, 2", "x", None], "output": ["3", "4", "hi"]},
        dtype="str",
    )
    asked = instructions.questions(frame)
    assert list(asked[[0, 2]]) == ["Add. 1, 2", "Say hi. "] and asked.isna()[1]
