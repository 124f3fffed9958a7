"""The reader of csv, tsv, jsonl, json and Parquet: what the spoiled inputs don't show."""

import json
import os

import pytest

from gptmill.config.sources import CorpusParams, InstructionsParams, SpamParams
from gptmill.core.errors import GptmillError
from gptmill.data import classification, corpus, formats, instructions

ROWS = [("a, b", "x"), ('He said "hi"\nand left', "y"), ("Ünï 猫\u2028\x85", "x")]
SOURCE = {"urls": [], "member": "", "sha256": "", "licence": "", "max_megabytes": 1}
SPAM = {"columns": [], "quotes": False, "text": "body", "label": "topic", "labels": ["x", "y"]}


def labelled(**changes) -> SpamParams:
    return SpamParams(**SOURCE, **(SPAM | changes))


def rows(frame) -> list[tuple]:
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def read(tmp_path, content: bytes | str, **changes) -> list[tuple]:
    params = labelled(**changes)
    path = tmp_path / params.file
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return rows(classification.read(path, params))


def quoted(separator: str = ",", end: str = "\n") -> str:
    lines = [f"id{separator}topic{separator}body"]
    lines += [
        f'{n}{separator}{topic}{separator}"{body.replace(chr(34), chr(34) * 2)}"'
        for n, (body, topic) in enumerate(ROWS)
    ]
    return end.join(lines) + end


WANTED = [(n, topic, body) for n, (body, topic) in enumerate(ROWS, start=1)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("ending", "separator"), [("csv", ","), ("tsv", "\t")])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_quotes_keep_separators_and_line_ends_whatever_excel_adds(tmp_path, ending, separator, end, mark):
    assert read(tmp_path, mark + quoted(separator, end), file=f"a.{ending}", quotes=True) == WANTED


def test_every_format_gives_the_same_rows(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = [{"id": n, "body": body, "topic": topic} for n, (body, topic) in enumerate(ROWS)]
    assert read(tmp_path, json.dumps(records), file="a.json") == WANTED
    assert (
        read(tmp_path, "\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n\n", file="a.jsonl")
        == WANTED
    )
    pq.write_table(pa.Table.from_pylist(records * 1000), tmp_path / "a.parquet", row_group_size=700)
    result = rows(classification.read(tmp_path / "a.parquet", labelled(file="a.parquet")))
    assert result[:3] == WANTED and result[-1] == (3000, *WANTED[-1][1:])
    pq.write_table(
        pa.table({"body": pa.array(["a", "b"]).dictionary_encode(), "topic": ["x", "y"]}), tmp_path / "a.parquet"
    )
    assert rows(classification.read(tmp_path / "a.parquet", labelled(file="a.parquet"))) == [
        (1, "x", "a"),
        (2, "y", "b"),
    ]


def test_labels_that_are_numbers_or_truth_values_are_taken_as_text(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = '[{"body": "a", "topic": 0}, {"body": "b", "topic": 1.0}, {"body": "c", "topic": true}, {"body": "d", "topic": 0.5}]'
    assert [row[1] for row in read(tmp_path, records, file="a.json", labels=["0", "1"])] == ["0", "1", "true", None]
    pq.write_table(pa.table({"body": ["a", "b", "c"], "topic": [0, 1, None]}), tmp_path / "a.parquet")
    assert [row[1] for row in rows(classification.read(tmp_path / "a.parquet", labelled(file="a.parquet")))] == [
        "0",
        "1",
        None,
    ]
    assert read(tmp_path, "body,topic\n7,1\n", file="a.csv") == [(1, "1", "7")]


def test_columns_stand_in_for_a_header(tmp_path):
    columns = ["id", "topic", "body"]
    assert read(tmp_path, quoted().partition("\n")[2], file="a.csv", columns=columns, quotes=True) == WANTED
    assert read(tmp_path, "1,x,a, b\n2,y\n", file="a.csv", columns=columns) == [(1, "x", "a, b"), (2, "y", None)]
    with pytest.raises(
        GptmillError, match="a.csv has no comma in any of its 2 lines: id,topic,body is expected. It has semicolons"
    ):
        read(tmp_path, "1;x;a\n2;y;b\n", file="a.csv", columns=columns)


def test_a_record_keeps_its_number_whatever_stands_before_it(tmp_path):
    content = 'body,topic\n"two\nlines",x\n\na,b,c\nlast,y\n\n\n'
    assert read(tmp_path, content, file="a.csv", quotes=True) == [
        (1, "x", "two\nlines"),
        (2, None, None),
        (3, None, None),
        (4, "y", "last"),
    ]


def test_instructions_without_input_have_an_empty_one_in_every_format(tmp_path):
    for file, content in {
        "a.csv": "output,instruction\nb,a\n",
        "a.jsonl": '{"instruction": "a", "output": "b"}',
    }.items():
        params = InstructionsParams(**SOURCE, file=file)
        (tmp_path / file).write_text(content)
        assert rows(instructions.read(tmp_path / file, params)) == [(1, "a", "", "b")]


@pytest.mark.parametrize(("file", "content"), [
    ("a.csv", "id,text\n1,One.\n2,Two.\n"), ("a.tsv", "id\ttext\n1\tOne.\n2\tTwo.\n"), ("a.json", '[{"text": "One."}, {"text": "Two."}]'),
    ("a.jsonl", '{"text": "One."}\n{"text": "Two."}\n'),
])  # fmt: skip
def test_each_row_of_a_corpus_is_a_document_and_rows_come_as_a_stream(tmp_path, file, content):
    params = CorpusParams(**SOURCE, file=file)
    (tmp_path / file).write_text(content)
    assert list(corpus.documents(corpus.read_raw(tmp_path / file, params))) == [(1, "One."), (2, "Two.")]
    stream = formats.texts(tmp_path / file, formats.layout("data.corpus", params))
    assert next(stream) == (1, "One.") and list(stream) == [(2, "Two.")]


def test_a_missing_file_and_a_folder_say_what_to_do(tmp_path):
    with pytest.raises(GptmillError, match=r"a\.csv not found.*dvc repro"):
        classification.read(tmp_path / "a.csv", labelled(file="a.csv"))
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(GptmillError, match=r"a\.csv is a folder"):
        classification.read(tmp_path / "a.csv", labelled(file="a.csv"))


def test_names_from_a_file_are_shown_short_and_escaped(tmp_path):
    with pytest.raises(GptmillError) as caught:
        read(tmp_path, "\x1b[2J" + "x" * 5000 + ",b\n1,2\n", file="a.csv")
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, ending):
    params = labelled(file=f"a.{ending}")
    os.mkfifo(tmp_path / params.file)
    with pytest.raises(GptmillError, match=f"a.{ending} is a pipe, a socket or a device"):
        classification.read(tmp_path / params.file, params)
