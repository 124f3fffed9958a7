"""`gptmill judge FILE` and `gptmill judge agreement FILE`, as people type them."""

import json

import pytest
from typer.testing import CliRunner

from gptmill.cli import app

RECORDS = [
    {"instruction": "Name the bird.", "input": "", "output": "It is a heron.", "response": answer, "points": points}
    for answer, points in [("It is a heron.", 100), ("A grey heron.", 80), ("It is a goose.", 5), ("", 0)]
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answers.json").write_text(json.dumps(RECORDS))
    return tmp_path


def run(*words: str):
    return CliRunner().invoke(app, ["judge", *words])


def told(*words: str) -> dict:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_file_of_answers_is_scored(elsewhere):
    result = run("answers.json")
    assert result.exit_code == 0, result.output
    for expected in ("mean score", "reference (no LLM)", "judged 4, failed 0", "name", "1 to 5 words", "95% interval"):
        assert expected in result.stdout
    found = told("--json", "answers.json", "--out", "judged.jsonl")
    assert found["judged"] == 4 and found["by_kind"]["name"]["answers"] == 4
    judged = [json.loads(line) for line in (elsewhere / "judged.jsonl").read_text().splitlines()]
    assert [record["response"] for record in judged] == [record["response"] for record in RECORDS]
    assert judged[0]["score"] == 100 and judged[3]["score"] == 0 and judged[0]["scores"] == {"reference (no LLM)": 100}


def test_json_lines_and_the_books_name_of_the_answer_are_read(elsewhere):
    lines = [
        {**{key: value for key, value in record.items() if key != "response"}, "model_response": record["response"]}
        for record in RECORDS
    ]
    (elsewhere / "answers.jsonl").write_text("\ufeff" + "\n".join(map(json.dumps, lines)) + "\n\n")
    assert told("answers.jsonl", "--json")["mean_score"] == told("answers.json", "--json")["mean_score"]
    assert told("file", "answers.jsonl", "--backend", "reference", "--json")["judged"] == 4


def test_two_files_are_compared_question_by_question(elsewhere):
    (elsewhere / "others.json").write_text(
        json.dumps([{**record, "response": "It is a goose."} for record in reversed(RECORDS)])
    )
    found = told("answers.json", "--against-file", "others.json", "--json")["against_file"]
    assert found["gain"] > 0 and found["gain_low"] <= found["gain"] <= found["gain_high"] and found["win_rate"] == 0.625
    assert "gain over others.json: +" in run("answers.json", "--against-file", "others.json").stdout
    (elsewhere / "others.json").write_text(json.dumps([{**RECORDS[0], "instruction": "Name the fish."}] * 4))
    assert "don't ask the same questions" in str(run("answers.json", "--against-file", "others.json").exception)


def test_agreement_is_told_and_written(elsewhere):
    found = told("agreement", "answers.json", "--against", "points", "--json")
    assert (
        found["pearson"] > 0.9
        and found["spearman_low"] <= found["spearman"] <= found["spearman_high"]
        and found["judged"] == 4
    )
    assert json.loads((elsewhere / "reports/agreement.json").read_text()) == found
    page = (elsewhere / "reports/agreement.html").read_text()
    assert "Pearson" in page and "The judge is not an LLM" in page and found["sha256"] in page
    result = run("agreement", "answers.json", "--against", "points")
    for expected in (
        "Pearson",
        "Spearman",
        "Kendall",
        "kappa",
        "absolute error",
        "points of answers.json",
        "reports/agreement.html",
    ):
        assert expected in result.stdout


def test_what_a_column_is_called_is_escaped_on_the_page(elsewhere):
    column = "<script>alert(1)</script>"
    (elsewhere / "answers.json").write_text(json.dumps([{**record, column: record["points"]} for record in RECORDS]))
    assert run("agreement", "answers.json", "--against", column).exit_code == 0
    assert "<script>" not in (elsewhere / "reports/agreement.html").read_text()


@pytest.mark.parametrize(("text", "wanted"), [
    ("[]", "holds no records"), ("", "holds no records"), ("{", "neither a JSON list nor JSON lines"), ("[1]", "record 1 is not an object"),
    ("[" * 100_000, "neither a JSON list nor JSON lines"),
    (json.dumps([{"instruction": "a", "output": "b"}]), "has no answer: neither 'response' nor 'model_response'"),
    (json.dumps([{"instruction": "a", "response": "b"}]), "has no 'output'"),
    (json.dumps([{**RECORDS[0], "response": None}]), "response is None, not text"),
    (json.dumps([{**RECORDS[0], "other": 3}, RECORDS[1]]), "record 2 has no column 'other'"),
    *((json.dumps([{**RECORDS[0], "other": value}]), "not a number from 0 to 100")
      for value in ("85", None, True, float("nan"), float("inf"), -1, 101, [])),
])  # fmt: skip
def test_a_bad_file_is_named_with_what_is_wrong_and_nothing_is_written(elsewhere, text, wanted):
    (elsewhere / "bad.json").write_text(text)
    result = run("agreement", "bad.json", "--against", "other")
    assert result.exit_code == 1 and "bad.json" in str(result.exception) and wanted in str(result.exception)
    assert not (elsewhere / "reports").exists()


def test_a_file_that_is_no_text_or_is_not_there_is_named(elsewhere):
    (elsewhere / "bytes.json").write_bytes(b"\xff\xfe\x00")
    assert "bytes.json can't be read" in str(run("bytes.json").exception)
    assert "nowhere.json not found" in str(run("nowhere.json").exception)


def test_help_names_both_uses():
    for words in ([], ["--help"]):
        text = " ".join(run(*words).output.split())
        assert "gptmill judge FILE" in text and "agreement" in text
    assert "--against-file" in run("file", "--help").output
