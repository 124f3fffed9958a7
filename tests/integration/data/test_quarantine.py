import html
import re

import pandas as pd
import pytest

from gptmill.config.data import ExpectationParams
from gptmill.core.errors import GptmillError
from gptmill.data import corpus, tables
from gptmill.data.validation import corpus_stats, expectations, quarantine
from gptmill.text import prompts

ALPACA = prompts.TEMPLATES["alpaca"]
WANTED = ExpectationParams(
    min_corpus_characters=20, max_unbroken_characters=40_000, max_repeated_line_share=0.3, min_messages=5, min_records=2,
    min_class_share=0.1, max_text_characters=20_000, max_duplicate_share=0.9, max_near_duplicate_share=0.9,
    near_duplicate_similarity=0.8, max_quarantined_share=0.5,
)  # fmt: skip
LABELS = ["ham", "spam"]
SOUND = [
    ("ham", "see you"),
    ("ham", "on my way"),
    ("ham", "ok"),
    ("ham", "lunch?"),
    ("spam", "WINNER"),
    ("spam", "Claim £100 now"),
]


def messages(rows: list[tuple]) -> pd.DataFrame:
    labels, texts = zip(*rows, strict=True)
    return pd.DataFrame(
        {"row": range(1, len(rows) + 1), "label": tables.strings(labels), "text": tables.strings(texts)}
    )


def examine(tmp_path, rows: list[tuple], labels=LABELS, **changes) -> quarantine.ValidationResult:
    return quarantine.validate(
        [expectations.messages(messages(rows), labels, WANTED.model_copy(update=changes))], tmp_path / "docs"
    )[0]


def failed(result: quarantine.ValidationResult) -> list[str]:
    return [check["expectation"] for check in result.checks if not check["success"]]


def test_sound_rows_are_all_kept(tmp_path):
    result = examine(tmp_path, SOUND)
    assert result.success and len(result.clean) == 6 and result.quarantine.empty
    assert list(result.quarantine.columns) == ["row", "label", "text", "reasons"]


def test_each_bad_row_goes_to_quarantine_with_every_reason(tmp_path):
    bad = [
        ("ham", None), (None, None), ("Ham", " \u00a0\t"), ("spam", "a\x00b"), ("hum", "\ufffd"), ("ham", "x" * 20_001),
    ]  # fmt: skip
    result = examine(tmp_path, SOUND + bad, max_quarantined_share=0.9)
    control = "text has control characters or undecodable ones"
    assert dict(zip(result.quarantine["row"], result.quarantine["reasons"], strict=True)) == {
        7: "text is missing or not a string",
        8: "label is missing; text is missing or not a string",
        9: "label is unknown; text is empty",
        10: control,
        11: f"label is unknown; {control}",
        12: "text is longer than 20,000 characters",
    }
    assert result.success and list(result.clean["row"]) == [1, 2, 3, 4, 5, 6]
    assert result.report()["kept"] + result.report()["quarantined"] == 12


def test_tabs_line_ends_and_windows_quotes_within_a_message_are_sound(tmp_path):
    assert examine(tmp_path, [*SOUND, ("ham", "a\tb\rc\u2028d"), ("ham", "it\x92s")]).quarantine.empty


def test_too_many_bad_rows_fail(tmp_path):
    result = examine(tmp_path, [*SOUND, ("ham", ""), ("ham", "")], max_quarantined_share=0.2)
    assert failed(result) == ["no text is empty", "at most 20% of the messages are in quarantine"]


def test_the_table_is_judged_by_what_is_kept(tmp_path):
    result = examine(tmp_path, [*SOUND[:5], ("spam", "")], min_class_share=0.3)
    share = next(check for check in result.checks if "are spam" in check["expectation"])
    assert share == {
        "expectation": "30% of the messages or more are spam",
        "level": "table",
        "success": False,
        "observed": 0.2,
        "allowed": "at least 0.3",
    }


def test_every_class_must_have_its_share(tmp_path):
    labels = ["ham", "spam", "news", "jokes"]
    rows = [*SOUND, ("news", "it rains"), ("news", "it snows"), ("jokes", "a cat walks in")]
    assert examine(tmp_path, rows, labels).success
    assert failed(examine(tmp_path, rows, labels, min_class_share=0.2)) == ["20% of the messages or more are jokes"]
    assert failed(examine(tmp_path, rows[:-1], labels)) == [
        "the labels are ham, spam, news and jokes, and all occur", "10% of the messages or more are jokes",
    ]  # fmt: skip


def test_rows_of_one_text_under_two_labels_go_to_quarantine_and_say_which(tmp_path):
    result = examine(tmp_path, [*SOUND, ("spam", "See  you"), ("ham", "fine")])
    assert dict(zip(result.quarantine["row"], result.quarantine["reasons"], strict=True)) == {
        1: "text has another label elsewhere: spam (row 7)",
        7: "text has another label elsewhere: ham (row 1)",
    }
    assert result.success and len(result.clean) == 6


def test_too_many_repetitions_fail(tmp_path):
    rows = [*SOUND, ("ham", "See  you"), ("ham", "see you!!")]
    limits = dict(max_duplicate_share=0.1, max_near_duplicate_share=0.1)
    assert failed(examine(tmp_path, rows, **limits)) == [
        "at most 10% of the messages are duplicates, ignoring case and spacing",
        "at most 10% of the messages are near-duplicates",
    ]
    assert examine(tmp_path, SOUND, **limits).success


def test_the_kept_rows_have_their_group_and_the_quarantined_ones_their_reasons(tmp_path):
    result = examine(tmp_path, [*SOUND, ("ham", "SEE YOU!"), ("ham", "")])
    assert list(result.clean.columns) == ["row", "label", "text", "group"]
    groups = dict(zip(result.clean["row"], result.clean["group"], strict=True))
    assert groups[1] == groups[7] and len(set(groups.values())) == 6


def test_a_missing_label_and_too_few_rows_fail(tmp_path):
    result = examine(tmp_path, SOUND[:3])
    assert failed(result) == [
        "5 messages or more are valid", "the labels are ham and spam, and all occur", "10% of the messages or more are spam",
    ]  # fmt: skip


def test_nothing_but_bad_rows_is_a_failure_and_no_crash(tmp_path):
    result = examine(tmp_path, [(None, None), (None, None)], max_quarantined_share=1.0)
    assert "the labels are ham and spam, and all occur" in failed(result)
    with pytest.raises(GptmillError, match="nothing to measure"):
        quarantine.raise_for_failures([result], tmp_path)


def test_the_error_names_data_set_expectation_observed_allowed_rows_and_docs(tmp_path):
    result = examine(tmp_path, [*SOUND, *[("ham", "")] * 7], max_quarantined_share=0.2)
    with pytest.raises(GptmillError) as refusal:
        quarantine.raise_for_failures([result], tmp_path / "docs")
    lines = str(refusal.value).splitlines()
    assert "spam: 2 expectations are not met:" in lines
    assert "  no text is empty: observed 7 bad rows, allowed at most 20% of the rows" in lines
    assert "  at most 20% of the messages are in quarantine: observed 0.538462, allowed at most 0.2" in lines
    assert "  row 7: text is empty" in lines and "  and 2 more bad rows" in lines
    assert str(tmp_path / "docs/index.html") in lines[-1] and "data.expectations" in lines[-1]


def documents(*texts: str | None) -> pd.DataFrame:
    return corpus_stats.measure(corpus.from_rows(enumerate(texts, start=1)))


def test_documents_may_be_long_but_not_empty_and_the_corpus_not_short(tmp_path):
    frame, lenient = documents("x" * 30_000, "", "a\x07"), WANTED.model_copy(update={"max_quarantined_share": 0.7})
    short = expectations.corpus(documents("", "a\x07"), WANTED, 8, 0.1)
    long = expectations.corpus(frame, lenient, 8, 0.1)
    long, short = (quarantine.validate([data_set], tmp_path / "docs")[0] for data_set in (long, short))
    assert long.success and list(long.clean["row"]) == [1]
    assert "the corpus has 20 characters or more" in failed(short)


def test_each_bad_document_goes_to_quarantine_with_every_reason(tmp_path):
    frame = documents(
        "fine", None, " \n", "a\nb\ufffd", "x" * 50_000, "a\n<|endoftext|>\nb", f"{'x' * 50_000}\n<|endoftext|>"
    )
    wanted = WANTED.model_copy(update={"max_quarantined_share": 1.0})
    result = quarantine.validate([expectations.corpus(frame, wanted, 8, 0.1)], tmp_path / "docs")[0]
    long = "text has more than 40,000 characters without white space"
    assert dict(zip(result.quarantine["row"], result.quarantine["reasons"], strict=True)) == {
        2: "text is missing or not a string",
        3: "text is empty",
        4: "text has control characters or undecodable ones",
        5: long,
        7: long,
    }
    assert list(result.clean["row"]) == [1, 6, 6], "a marker divides the text of a row"


def test_records_need_instruction_and_output_but_no_input(tmp_path):
    columns = ["row", "instruction", "input", "output"]
    rows = [(1, "a", "", "b"), (2, "a", "x", "b"), (3, None, "", "b"), (4, "a", None, " "), (5, "", "\x01", "b")]
    frame = pd.DataFrame(rows, columns=columns).astype({name: "str" for name in columns[1:]})
    result = quarantine.validate(
        [expectations.records(frame, WANTED.model_copy(update={"max_quarantined_share": 0.7}), 128, ALPACA)],
        tmp_path / "d",
    )[0]
    assert list(result.quarantine["reasons"]) == [
        "instruction is missing or not a string",
        "input is missing or not a string; output is empty",
        "instruction is empty; input has control characters or undecodable ones",
    ]
    assert result.success and list(result.clean["row"]) == [1, 2]


def test_records_that_are_certain_to_be_longer_than_the_context_go_to_quarantine(tmp_path, tokenizer):
    columns = ["row", "instruction", "input", "output"]
    texts = [f"Count to {n}" for n in range(8)]
    answers = ["one two", "it's 7 o'clock; they'd better go", *["word " * n for n in (60, 70, 86, 87, 100, 110)]]
    frame = pd.DataFrame(
        [(n, text, "", answer) for n, (text, answer) in enumerate(zip(texts, answers, strict=True), 1)], columns=columns
    )
    frame = frame.astype({name: "str" for name in columns[1:]})
    results = quarantine.validate([expectations.records(frame, WANTED, 120, ALPACA)], tmp_path / "d")[0]
    reason = "prompt and output have more than 120 tokens, the model's context"
    assert set(results.quarantine["reasons"]) == {reason} and list(results.quarantine["row"]) == [6, 7, 8]
    for text, answer in zip(results.quarantine["instruction"], results.quarantine["output"], strict=True):
        assert len(tokenizer.encode(ALPACA.prompt(text))) + len(tokenizer.encode(answer)) > 120


def test_data_docs_need_no_network_and_show_what_is_expected(tmp_path):
    examine(tmp_path, [*SOUND, ("<script>alert(1)</script>", "x")])
    pages = {
        page.relative_to(tmp_path / "docs").as_posix(): page.read_text() for page in (tmp_path / "docs").rglob("*.html")
    }
    assert set(pages) == {"index.html", "spam.html", "expectations/spam.html"}
    for name, page in pages.items():
        assert "//" not in re.sub(r"<a [^>]*>", "", page), name
        assert "<script" not in page and "no text is empty" in page, name
        links = {link.partition("#")[0] for link in re.findall(r'<a [^>]*href="([^"]*)"', page)} - {""}
        assert all((tmp_path / "docs" / name).parent.joinpath(link).resolve().is_file() for link in links), (
            name,
            links,
        )


def test_what_a_data_set_says_is_text_in_the_data_docs_and_nothing_runs_there(tmp_path):
    hostile = [
        "<svg onload=alert(1)>",
        '<a href="javascript:alert(1)">',
        "<iframe src=//e.com>",
        "<script>alert(1)</script>",
        "<!-- ",
    ]
    examine(
        tmp_path, [*SOUND, *((label, "x") for label in hostile)], labels=["<img src=x onerror=alert(1)>", "ham", "spam"]
    )
    pages = {
        page.relative_to(tmp_path / "docs").as_posix(): page.read_text() for page in (tmp_path / "docs").rglob("*.html")
    }
    for name, page in pages.items():
        assert not re.search("<(svg|iframe|script|img)|<!-- |<a [^>]*javascript:", page), name
        assert page.index("default-src 'none'") < page.index("<style"), name
        assert "&lt;img src=x onerror=alert(1)&gt;" in page, name
    assert all(html.escape(label) in pages["spam.html"] for label in hostile)


def test_data_docs_are_written_when_expectations_fail(tmp_path):
    assert not examine(tmp_path, SOUND[:3]).success
    assert "✘ failed" in (tmp_path / "docs/index.html").read_text()


def test_great_expectations_is_silent(tmp_path, capfd):
    examine(tmp_path, SOUND)
    assert capfd.readouterr() == ("", "")
