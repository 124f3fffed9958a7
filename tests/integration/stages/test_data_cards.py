import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gptmill import config
from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.data import tables
from gptmill.stages import data_cards
from gptmill.text import prompts, token_files

EVIL = "<script>alert('x')</script>"
CHECK = {
    "expectation": "no text is empty",
    "level": "row",
    "success": True,
    "observed": 2,
    "allowed": "at most 2% of the rows",
}
MESSAGES = [
    ("ham", "the cat in the mill"),
    ("ham", "the miller had a cat"),
    ("ham", "three sons and a cat"),
    ("spam", "the cat will win £100 " * 20),
]
RECORDS = [
    ("Name the cat.", "", "It had none."),
    ("Count the sons.", "three sons", "Three."),
    ("Tell of the mill.", "", "the mill " * 90),
]
DOCUMENTS = [
    "Once upon a time there was a miller.",
    "He had a cat.",
    "The cat said: I shall win! " * 9,
    "It's 7 o'clock.",
]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, tokenizer):
    """A folder with everything that the cards read, as the stages write it."""
    monkeypatch.chdir(tmp_path)
    paths.TOKENIZER.mkdir(parents=True)
    tokenizer.save(paths.TOKENIZER)
    for name in ("corpus", "spam", "instructions"):
        source = {"name": f"the {name}", "origin": "a file", "licence": "MIT", "sha256": name * 9, "bytes": 900}
        files.write_json(paths.RAW / f"{name}.source.json", source)
    findings = {"kept": 4, "quarantined": 0, "duplicates": 3, "success": True, "expectations": [CHECK]}
    counts = {"corpus": {"words": 77}, "spam": {"messages": 4}, "instructions": {"records": 4}}
    files.write_json(paths.VALIDATION, {name: {"sha256": name * 9, **counts[name], **findings} for name in counts})
    put_messages(MESSAGES)
    put_records(RECORDS)
    put_documents(DOCUMENTS, tokenizer)
    for name, columns in (
        ("corpus", ["text"]),
        ("spam", ["label", "text"]),
        ("instructions", ["instruction", "input", "output"]),
    ):
        put_quarantine(name, [], columns)


def put_parquet(path: Path, rows: list[tuple], columns: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows, columns=columns)
    tables.write(
        path, frame.assign(**{name: tables.strings(frame[name].tolist()) for name in columns if name != "row"})
    )


def put_messages(messages: list[tuple[str, str]], natural: bool = False) -> None:
    put_parquet(
        paths.CLEAN_SPAM, [(10 * n, *message) for n, message in enumerate(messages, 1)], ["row", "label", "text"]
    )
    for split, rows in {"train": messages[:-2], "validation": messages[-2:-1], "test": messages[-1:]}.items():
        put_parquet(paths.SPAM_SPLITS / f"{split}.parquet", rows, ["label", "text"])
    if natural:
        put_parquet(paths.SPAM_SPLITS / "natural.parquet", messages[-2:], ["label", "text"])


def put_records(records: list[tuple[str, str, str]]) -> None:
    rows = [dict(zip(("instruction", "input", "output"), record, strict=True)) for record in records]
    files.write_jsonl(paths.CLEAN_INSTRUCTIONS, [{"row": n, **row} for n, row in enumerate(rows, 1)])
    for split, part in {"train": rows[:1], "validation": rows[1:2], "test": rows[2:]}.items():
        files.write_jsonl(paths.INSTRUCTION_SPLITS / f"{split}.jsonl", part)


def put_documents(documents: list[str], tokenizer) -> None:
    ids = np.array(
        [i for document in documents for i in (*tokenizer.encode(document), tokenizer.end_of_text)], token_files.DTYPE
    )
    token_files.write(paths.TOKENS, [ids], tokenizer.vocab_size, validation_share=0.3, context_length=2)


def put_quarantine(name: str, rows: list[tuple], columns: list[str]) -> None:
    """`rows`: (row, a value for each of the columns, reasons)."""
    put_parquet(paths.QUARANTINE / f"{name}.parquet", rows, ["row", *columns, "reasons"])
    result = json.loads(paths.VALIDATION.read_text(encoding="utf-8"))
    result[name]["quarantined"] = len(rows)
    files.write_json(paths.VALIDATION, result)


def change(path: Path, name: str | None = None, /, **values: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    (content[name] if name else content).update(values)
    files.write_json(path, content)


def some_params(root: Path, context: int = 16, message: int = 24, record: int = 120) -> Params:
    values = config.load(root / "params.yaml")
    return values.model_copy(
        update={
            "model": values.model.model_copy(update={"context_length": context}),
            "classifier": values.classifier.model_copy(update={"max_length": message}),
            "instruct": values.instruct.model_copy(update={"max_length": record}),
        }
    )


@pytest.fixture
def card(root):
    """Runs the stage: `card(name)` is the page of that name."""

    def make(name: str, **limits: int) -> str:
        data_cards.run(some_params(root, **limits))
        assert sorted(path.name for path in paths.DATA_CARDS.iterdir()) == [
            "corpus.html",
            "instructions.html",
            "spam.html",
        ]
        return (paths.DATA_CARDS / f"{name}.html").read_text(encoding="utf-8")

    return make


def said(html: str) -> str:
    """The page as it reads: without tags, with single spaces."""
    body = re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_a_card_says_what_the_data_is_and_what_became_of_it(card):
    text = said(card("spam"))
    for part in ("the spam", "4 texts kept", "Read 4", "Origin a file", "Licence MIT", f"SHA-256 {'spam' * 9}", "Bytes 900",
                 "1 of 1 are met", "no text is empty 2 rows fail at most 2% of the rows", "3 exact duplicates",
                 "None: every row is valid"):  # fmt: skip
        assert part in text


def test_classes_are_counted_in_every_split(card):
    text = said(card("spam"))
    assert (
        "Kept Train Validation Test Texts 4 2 1 1 ham 3 75.0% 2 100.0% 1 100.0% 0 0.0% spam 1 25.0% 0 0.0% 0 0.0% 1 100.0%"
        in text
    )
    put_messages(MESSAGES, natural=True)
    text = said(card("spam"))
    assert "Test Natural Texts 4 2 1 1 2 ham 3 75.0% 2 100.0% 1 100.0% 0 0.0% 1 50.0%" in text
    assert "with the natural class distribution" in text


def test_there_may_be_any_number_of_classes(card):
    put_messages([(f"topic {n % 20}", f"message number {n}") for n in range(200)])
    text = said(card("spam"))
    assert all(f"topic {n} 10 5.0%" in text for n in range(20))
    assert text.count("message number") == 12


@pytest.mark.parametrize(("limit", "cut"), [(1, 4), (24, 1), (10_000, 0)])
def test_what_is_cut_of_the_messages_is_counted_in_their_tokens(card, tokenizer, limit, cut):
    assert cut == sum(len(tokenizer.encode(text)) > limit for _, text in MESSAGES)
    text = said(card("spam", message=limit))
    assert (f"{cut} of 4 texts" in text) == bool(cut)
    assert f"Longer than classifier.max_length {cut}" in text
    assert ("nothing is cut" in text) == (not cut)


def test_a_record_is_cut_where_training_cuts_it(card, tokenizer):
    sizes = [
        (len(tokenizer.encode(prompts.TEMPLATES["alpaca"].prompt(*record[:2]))), len(tokenizer.encode(record[2])))
        for record in RECORDS
    ]
    whole = sorted(prompt + answer for prompt, answer in sizes)
    assert "nothing is cut" in said(card("instructions", record=whole[-1]))
    assert "1 of 3 records (33.3%) is longer" in said(card("instructions", record=whole[-1] - 1))
    assert "something of every answer is left" in said(card("instructions", record=whole[-1] - 1))
    shortest = min(prompt for prompt, _ in sizes)
    assert "of 3, nothing of the answer is left" in said(card("instructions", record=shortest - 1))


def test_the_corpus_is_measured_in_its_token_files(card, tokenizer):
    sizes = sorted(len(tokenizer.encode(document)) for document in DOCUMENTS)
    text = said(card("corpus"))
    assert f"{sizes[1]} in the median document" in text
    assert f"Longest {sizes[-1]}" in text
    assert f"Tokens, ends of text included {sum(sizes) + 4}" in text
    assert "The cat said: I shall win!" in text
    assert f"{sum(size > 16 for size in sizes)} of 4 documents" in text


def test_a_corpus_of_one_document_has_a_card(card, tokenizer):
    put_documents(DOCUMENTS[2:3], tokenizer)
    change(paths.VALIDATION, "corpus", kept=1)
    html = card("corpus")
    assert "1 document kept" in said(html)
    assert "It is longer than model.context_length (16 tokens)" in said(html)
    assert "<svg" not in html


def test_quarantined_rows_are_shown_with_their_number_and_every_reason(card):
    put_quarantine(
        "spam",
        [(17, None, "no label", "label is missing"), (23, "eggs", "", "label is unknown; text is empty")],
        ["label", "text"],
    )
    text = said(card("spam"))
    assert "2 of 6 texts were quarantined" in text
    assert "row 17 Reason label is missing Label (missing) Text no label" in text
    assert "row 23 Reasons label is unknown text is empty Label eggs Text (empty)" in text
    assert text.index("label is unknown 1 row") < text.index("row 17")


def test_of_many_quarantined_rows_some_of_each_reason_are_shown(card):
    rows = [(n, "ham", "x", "text is empty") for n in range(1, 1001)] + [(n, "ham", "y", "rare") for n in (1001, 1002)]
    put_quarantine("spam", rows, ["label", "text"])
    text = said(card("spam"))
    assert "text is empty 1,000 rows rare 2 rows" in text
    assert "12 are shown" in text
    assert text.count("Reason rare") == 2 and text.count("Reason text is empty") == 10
    assert "row 1,002" in text


def test_duplicates_and_leakage_are_shown_where_they_were_measured(card):
    assert said(card("spam")).count("not measured") == 4
    change(paths.VALIDATION, "spam", near_duplicates=5, conflicting_labels=2, leakage={"exact": 0, "near": 7})
    html = card("spam")
    assert "Near-duplicates 5 Conflicting labels 2 Leaking pairs, exact 0 Leaking pairs, near 7" in said(html)
    assert '<span class="ahead">0</span>' in html and '<span class="behind">7</span>' in html


def test_what_else_a_source_says_is_shown(card):
    more = {
        "member": "a.txt",
        "files": [f"part-{n}" for n in range(20)],
        "fetched": {"sha256": "abc", "bytes": 1234},
        "rows": None,
        "licence": "",
    }
    change(paths.RAW / "corpus.source.json", **more)
    text = said(card("corpus"))
    assert "Member a.txt Files part-0, part-1" in text and "and 12 more" in text and "part-9" not in text
    assert "Fetched sha256 abc, bytes 1,234 Rows none" in text
    assert "Licence not stated" in text


def test_what_comes_from_data_is_shown_and_not_run(card, tokenizer):
    plain = {name: card(name) for name in ("corpus", "spam", "instructions")}
    hostile = f"{EVIL}\x00\x1b[2J\u202eabc\u200b</dd></li><img src=x onerror={EVIL}>"
    change(
        paths.RAW / "spam.source.json",
        name=hostile,
        origin=f"javascript:{hostile}",
        licence=f'"onmouseover="{EVIL}',
        **{EVIL: [hostile]},
    )
    change(
        paths.VALIDATION,
        "spam",
        expectations=[CHECK | {"level": "table", "expectation": hostile, "observed": [hostile], "allowed": hostile}],
    )
    change(paths.VALIDATION, "spam", **{EVIL: 3})
    put_messages([(hostile, hostile), *MESSAGES])
    put_records([(hostile, hostile, hostile), *RECORDS])
    put_documents([hostile * 30, *DOCUMENTS], tokenizer)
    put_quarantine("spam", [(1, hostile, hostile * 100, hostile)], ["label", "text"])
    put_quarantine("corpus", [(1, hostile, hostile)], ["text"])
    put_quarantine("instructions", [(1, hostile, None, hostile, hostile)], ["instruction", "input", "output"])
    active = r"<script|<img|<[^>]*\s(?:on\w+)\s*="
    for name, before in plain.items():
        html = card(name)
        assert re.findall(active, html) == re.findall(active, before) == []
        assert html.count("&lt;script&gt;") >= 3
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\u200b]", html)
        assert len(html) < 60_000


@pytest.mark.parametrize("name", ["corpus", "spam", "instructions"])
def test_a_card_is_self_contained_and_leads_back(card, name):
    html = card(name)
    assert "<script" not in html and '<link rel="stylesheet' not in html and "@import" not in html
    result = re.findall(r"""(?:src|href|action|poster|srcset)\s*=\s*["']([^"']*)|url\(["']?([^"')]*)""", html)
    others = {f"{other}.html" for other in ("corpus", "spam", "instructions")} - {f"{name}.html"}
    targets = {target for pair in result for target in pair if target and not target.startswith("#")}
    assert targets == {"data:,", "../report.html", "../data_docs/index.html"} | others
    assert "default-src 'none'" in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert re.search(r"body \{[^}]*overflow-wrap: anywhere", html)


def test_the_same_inputs_give_the_same_bytes(card):
    assert [card(name) for name in ("corpus", "spam", "instructions")] == [
        card(name) for name in ("corpus", "spam", "instructions")
    ]


@pytest.mark.parametrize(("path", "stage"), [
    (paths.RAW / "spam.source.json", "download@spam"), (paths.VALIDATION, "validate"), (paths.CLEAN_INSTRUCTIONS, "validate"),
    (paths.CLEAN_SPAM, "validate"), (paths.SPAM_SPLITS / "test.parquet", "split_spam"),
    (paths.INSTRUCTION_SPLITS / "train.jsonl", "split_instructions"), (paths.QUARANTINE / "corpus.parquet", "validate"),
])  # fmt: skip
def test_a_missing_or_malformed_input_says_what_to_run(card, path, stage):
    path.write_text("{ no", encoding="utf-8")
    with pytest.raises(GptmillError, match=f"{path} is not what {stage} writes .*dvc repro {stage}"):
        card("spam")
    path.unlink()
    with pytest.raises(GptmillError, match=f"{path} not found.*dvc repro {stage}"):
        card("spam")
    assert not paths.DATA_CARDS.exists()


def test_a_table_without_its_columns_says_which(card):
    put_parquet(paths.SPAM_SPLITS / "test.parquet", [("ham", "x")], ["label", "body"])
    with pytest.raises(GptmillError, match="test.parquet is not what split_spam writes .*text"):
        card("spam")


def test_a_card_is_not_made_of_two_runs(card):
    change(paths.RAW / "spam.source.json", sha256="0")
    with pytest.raises(GptmillError, match="from different runs"):
        card("spam")
