import hashlib
import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from gptmill.config.data import ExpectationParams, InstructionSplitParams, SpamSplitParams
from gptmill.config.sources import CorpusParams, InstructionsParams, SpamParams
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.data import near_duplicates, text_files
from gptmill.stages import split_instructions, split_spam, tokenize, validate
from gptmill.text import prompts, token_files
from gptmill.text.tokenizer import Tokenizer

RAW_CORPUS, RAW_SPAM, RAW_INSTRUCTIONS = (
    paths.raw_file(Path(name).stem, name) for name in ("corpus.txt", "spam.tsv", "instructions.json")
)
SOURCE = {"urls": [], "member": "", "sha256": "", "licence": "", "max_megabytes": 1}
SOURCES = {
    "corpus": CorpusParams(**SOURCE),
    "spam": SpamParams(**SOURCE),
    "instructions": InstructionsParams(**SOURCE),
}

# Each stage gets the params that it may read, and no others.
EXPECTED = ExpectationParams(
    min_corpus_characters=100, max_unbroken_characters=50, max_repeated_line_share=0.5, min_messages=50, min_records=20,
    min_class_share=0.1, max_text_characters=20_000, max_duplicate_share=0.5, max_near_duplicate_share=0.5,
    near_duplicate_similarity=0.8, max_quarantined_share=0.1,
)  # fmt: skip
SPAM_SPLIT = SpamSplitParams(train=0.6, validation=0.2, method="groups", balance="undersample")
RECORD_SPLIT = InstructionSplitParams(train=0.6, validation=0.2, method="groups")
CHECKS = SimpleNamespace(
    seed=7,
    data=SimpleNamespace(**SOURCES, expectations=EXPECTED),
    model=SimpleNamespace(context_length=128),
    instruct=SimpleNamespace(prompt_style="alpaca"),
    split=SimpleNamespace(corpus=SimpleNamespace(validation=0.5), spam=SPAM_SPLIT, instructions=RECORD_SPLIT),
)
SPAM = SimpleNamespace(seed=7, data=SimpleNamespace(**SOURCES), split=SimpleNamespace(spam=SPAM_SPLIT))
INSTRUCTIONS = SimpleNamespace(seed=7, split=SimpleNamespace(instructions=RECORD_SPLIT))


def lines() -> list[str]:
    return [f"ham\tsee you at {n}:30, then" for n in range(60)] + [
        f'spam\tWIN £{n}00 "now"\x85'[:-1] for n in range(30)
    ]


def records() -> list[dict]:
    return [
        {"instruction": f"Count to {n}.", "input": "", "output": " ".join(map(str, range(n + 1)))} for n in range(30)
    ]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put()
    return tmp_path


def put(
    corpus: str = "Once upon a time. " * 20, spam: list[str] | None = None, instructions: list | None = None
) -> None:
    for name in paths.DATA_SETS:
        paths.raw_folder(name).mkdir(parents=True, exist_ok=True)
    RAW_CORPUS.write_text(corpus)
    RAW_SPAM.write_text("\n".join(spam or lines()) + "\n")
    RAW_INSTRUCTIONS.write_text(json.dumps(records() if instructions is None else instructions))


def run_all() -> None:
    validate.run(CHECKS)
    split_spam.run(SPAM)
    split_instructions.run(INSTRUCTIONS)


def hashes(*folders: Path) -> dict[str, str]:
    result = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in result}


def test_the_stages_write_what_the_next_ones_read(capsys):
    run_all()
    assert paths.CLEAN_CORPUS.read_text() == RAW_CORPUS.read_text()
    assert list(pd.read_parquet(paths.CLEAN_SPAM).columns) == ["row", "label", "text", "group"]
    first = files.read_jsonl(paths.CLEAN_INSTRUCTIONS)[0]
    assert first == {"row": 1, **records()[0], "group": first["group"]} and len(first["group"]) == 32
    names = ["natural.parquet", "test.parquet", "train.parquet", "validation.parquet"]
    assert sorted(path.name for path in paths.SPAM_SPLITS.iterdir()) == names
    assert list(pd.read_parquet(paths.SPAM_SPLITS / "test.parquet").columns) == ["label", "text"]
    assert sorted(path.name for path in paths.INSTRUCTION_SPLITS.iterdir()) == [
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]
    assert list(files.read_jsonl(paths.INSTRUCTION_SPLITS / "train.jsonl")[0]) == ["instruction", "input", "output"]
    assert paths.DATA_DOCS.joinpath("index.html").exists()
    reason = capsys.readouterr().out
    assert (
        "spam: messages 90, duplicates 0, near_duplicates 0, conflicting_labels 0, kept 90, quarantined 0, ham 60, spam 30"
        in reason
    )
    assert "spam: 60 messages -> train 36, validation 12, test 12 (50.0% ham, 50.0% spam); natural test 18" in reason
    assert "instructions: 30 records -> train 18, validation 6, test 6" in reason


def test_what_is_quarantined_and_what_is_kept_add_up():
    put(
        "Once upon a time. " * 20 + "\n<|endoftext|>\nThe end.\n" * 15,
        [*lines(), "", "hum\tx"],
        [*records(), {"instruction": "a"}, 5],
    )
    validate.run(CHECKS)
    report = files.read_json(paths.VALIDATION)
    assert (
        report["success"] and report["spam"]["messages"] == 92 == report["spam"]["kept"] + report["spam"]["quarantined"]
    )
    assert (
        report["instructions"]["records"]
        == 32
        == report["instructions"]["kept"] + report["instructions"]["quarantined"]
    )
    assert report["corpus"]["documents"] == 16 and report["corpus"]["duplicates"] == 14
    quarantine = pd.read_parquet(paths.QUARANTINE / "spam.parquet")
    assert list(quarantine["row"]) == [91, 92] and list(quarantine["reasons"])[1] == "label is unknown"
    assert (
        91 not in set(pd.read_parquet(paths.CLEAN_SPAM)["row"])
        and len(files.read_jsonl(paths.CLEAN_INSTRUCTIONS)) == 30
    )
    assert list(pd.read_parquet(paths.QUARANTINE / "corpus.parquet").columns) == [
        "row",
        "text",
        "characters",
        "reasons",
    ]


def test_a_bad_document_is_set_aside_with_its_length_and_every_reason():
    put("\n<|endoftext|>\n".join(["Once upon a time."] * 30 + ["x" * 30_000 + "\x07", "The end."]))
    validate.run(CHECKS)
    reasons = "text has control characters or undecodable ones; text has more than 50 characters without white space"
    quarantine = pq.read_table(paths.QUARANTINE / "corpus.parquet").to_pylist()
    assert quarantine == [{"row": 61, "text": "x" * 20_000, "characters": 30_001, "reasons": reasons}]
    assert paths.CLEAN_CORPUS.read_text() == "\n<|endoftext|>\n".join(["Once upon a time."] * 30 + ["The end."])
    report = files.read_json(paths.VALIDATION)["corpus"]
    assert (report["documents"], report["kept"], report["quarantined"], report["duplicates"]) == (32, 31, 1, 29)


def test_a_corpus_of_the_same_lines_or_too_short_for_a_window_stops():
    put("This line comes back again and again.\n" * 10)
    with pytest.raises(GptmillError, match="at most 50% of the lines are repeated: observed 0.9, allowed at most 0.5"):
        validate.run(CHECKS)
    put("Once upon a time. " * 20)
    long = SimpleNamespace(**vars(CHECKS) | {"model": SimpleNamespace(context_length=256)})
    with pytest.raises(
        GptmillError, match="has 514 bytes or more, for a window of 256 tokens .*: observed 360, allowed at least 514"
    ):
        validate.run(long)


def test_two_runs_write_the_same_bytes_without_times_or_paths(project):
    run_all()
    first = hashes(Path("data"), Path("reports"))
    for folder in ("data/clean", "data/quarantine", "data/spam", "data/instructions", "reports"):
        shutil.rmtree(folder)
    run_all()
    second = hashes(Path("data"), Path("reports"))
    differing = {path for path in first if first[path] != second[path]}
    assert first.keys() == second.keys() and all(path.startswith(str(paths.DATA_DOCS)) for path in differing)
    assert str(project) not in paths.VALIDATION.read_text()


def test_shuffled_input_files_give_the_same_splits_byte_for_byte():
    spam_lines, items = noisy_copies()
    put(spam=spam_lines, instructions=items)
    run_all()
    first = hashes(paths.SPAM_SPLITS, paths.INSTRUCTION_SPLITS)
    rng = random.Random(1)
    put(spam=rng.sample(spam_lines, len(spam_lines)), instructions=rng.sample(items, len(items)))
    run_all()
    assert hashes(paths.SPAM_SPLITS, paths.INSTRUCTION_SPLITS) == first


def test_a_failed_suite_names_the_data_sets_and_leaves_docs_but_no_outputs():
    put("Too short.", [*lines()[:60], "spam\tone"], records()[:5])
    with pytest.raises(GptmillError) as refusal:
        validate.run(CHECKS)
    message = str(refusal.value)
    assert (
        "corpus: 2 expectations are not met:\n  the corpus has 100 characters or more: observed 10, allowed at least 100"
        in message
    )
    assert "spam: 1 expectation is not met:\n  10% of the messages or more are spam: observed 0.016393" in message
    assert "instructions: 1 expectation is not met:\n  20 records or more are valid: observed 5" in message
    assert "reports/data_docs/index.html" in message
    assert paths.DATA_DOCS.joinpath("index.html").exists()
    assert not paths.CLEAN.exists() and not paths.QUARANTINE.exists() and not paths.VALIDATION.exists()


def test_an_unreadable_file_leaves_nothing():
    RAW_INSTRUCTIONS.write_text("<html>not found</html>")
    with pytest.raises(GptmillError, match=r"data/raw/instructions/instructions\.json is an HTML or XML page"):
        validate.run(CHECKS)
    assert [path.name for path in Path("data").iterdir()] == ["raw"] and not paths.REPORTS.exists()


@pytest.mark.parametrize(
    ("stage", "params", "needed"),
    [(split_spam, SPAM, paths.CLEAN_SPAM), (split_instructions, INSTRUCTIONS, paths.CLEAN_INSTRUCTIONS)],
)
def test_a_split_without_clean_data_says_what_is_missing(stage, params, needed):
    with pytest.raises(GptmillError, match=f"{needed} not found"):
        stage.run(params)


def changed(section: SimpleNamespace, **values) -> SimpleNamespace:
    return SimpleNamespace(**(vars(section) | values))


def test_a_split_that_would_be_empty_stops_before_anything_is_written():
    put(spam=lines()[58:62] * 20)  # 80 rows, 4 texts
    lenient = EXPECTED.model_copy(update={"max_duplicate_share": 1.0})
    with pytest.raises(GptmillError, match=r"spam: the \w+ split would"):
        validate.run(changed(CHECKS, data=SimpleNamespace(**SOURCES, expectations=lenient)))
    assert not paths.CLEAN.exists() and not paths.VALIDATION.exists()


def noisy_copies() -> tuple[list[str], list[dict]]:
    """The rows of `lines` and `records`, of which some stand twice, with other case, spacing and punctuation or nearly the same."""
    rng = random.Random(3)
    long = [f"{label}\tthe {a} and the {b} went down to the river {n}" for n, (label, a, b) in enumerate(
        [("ham", a, b) for a in ("cat", "dog", "miller") for b in ("goat", "king")] + [("spam", "prize", "winner")] * 2
    )]  # fmt: skip
    copies = [
        line.partition("\t")[0] + "\t" + line.partition("\t")[2].upper().replace(" ", ",  ")
        for line in rng.sample(lines(), 30)
    ]
    return lines() + copies + long, records() + [
        {**record, "instruction": record["instruction"].upper()} for record in records()[:9]
    ]


def test_the_report_states_repetitions_classes_and_no_leakage(capsys):
    spam_lines, items = noisy_copies()
    put(spam=spam_lines, instructions=items)
    run_all()
    report = files.read_json(paths.VALIDATION)
    assert list(report) == ["corpus", "spam", "instructions", "success"]
    assert list(report["spam"]) == [
        "sha256", "messages", "classes", "duplicates", "near_duplicates", "conflicting_labels", "leakage", "kept", "quarantined",
        "success", "expectations",
    ]  # fmt: skip
    assert report["spam"]["leakage"] == report["instructions"]["leakage"] == {"exact": 0, "near": 0}
    assert sum(report["spam"]["classes"].values()) == report["spam"]["messages"] == len(spam_lines)
    assert report["spam"]["near_duplicates"] >= 30 and report["instructions"]["duplicates"] == 9
    assert "leakage exact 0, leakage near 0" in capsys.readouterr().out


def test_copies_are_of_one_group_in_what_is_kept():
    spam_lines, items = noisy_copies()
    put(spam=spam_lines, instructions=items)
    validate.run(CHECKS)
    clean = pd.read_parquet(paths.CLEAN_SPAM)
    keys = clean["text"].map(text_files.grouping_key)
    assert (clean.groupby(keys)["group"].nunique() == 1).all() and clean["group"].nunique() <= len(clean) - 30


def test_groups_that_are_wrong_stop_the_graph_and_the_books_split_does_not(monkeypatch):
    spam_lines, items = noisy_copies()
    put(spam=spam_lines, instructions=items)
    with monkeypatch.context() as patch:
        patch.setattr(
            near_duplicates,
            "group",
            lambda texts, threshold: pd.Series([str(n) for n in range(len(texts))]).where(texts.notna()),
        )
        with pytest.raises(GptmillError, match="stand in different splits.* in train and "):
            validate.run(CHECKS)
    assert not paths.CLEAN.exists()
    book = SimpleNamespace(
        corpus=CHECKS.split.corpus,
        spam=SPAM_SPLIT.model_copy(update={"method": "book"}),
        instructions=RECORD_SPLIT.model_copy(update={"method": "book"}),
    )
    validate.run(changed(CHECKS, split=book))
    report = files.read_json(paths.VALIDATION)
    assert (
        report["success"] and report["spam"]["leakage"]["exact"] > 0 and report["instructions"]["leakage"]["exact"] > 0
    )


def test_conflicting_labels_are_in_quarantine_with_each_others_rows():
    put(spam=[*lines(), "spam\tSee you at  1:30, then"])
    validate.run(CHECKS)
    quarantine = pd.read_parquet(paths.QUARANTINE / "spam.parquet")
    assert dict(zip(quarantine["row"], quarantine["reasons"], strict=True)) == {
        2: "text has another label elsewhere: spam (row 91)",
        91: "text has another label elsewhere: ham (row 2)",
    }
    report = files.read_json(paths.VALIDATION)["spam"]
    assert report["conflicting_labels"] == report["quarantined"] == 2 and report["kept"] == 89


# --- markers ---

STORY = "Once upon a time there was a miller, and number {} was his cat.\n"


@pytest.fixture
def tokenized(capsys):
    def run(file: str = "corpus.txt", **settings: object) -> tuple[dict, list[str], str]:
        """The corpus' part of validation.json, the documents that the token files hold, and what was said."""
        given = CorpusParams(**SOURCE, **{"file": file} | settings)
        params = changed(CHECKS, data=SimpleNamespace(**SOURCES | {"corpus": given}, expectations=EXPECTED))
        validate.run(params)
        tokenizer = SimpleNamespace(ranks="corpus", vocab_size=300)
        tokenize.run(SimpleNamespace(**vars(params) | {"tokenizer": tokenizer, "compute": SimpleNamespace(threads=1)}))
        ids = [i for split in token_files.SPLITS for i in token_files.read(paths.TOKENS, split).tolist()]
        read = Tokenizer.load(paths.TOKENIZER)
        ends = [-1, *(place for place, i in enumerate(ids) if i == read.end_of_text)]
        documents = [read.decode(ids[start + 1 : end]) for start, end in zip(ends, ends[1:], strict=False)]
        return files.read_json(paths.VALIDATION)["corpus"], documents, capsys.readouterr().out

    return run


@pytest.mark.parametrize("file", ["corpus.txt", "corpus.jsonl", "corpus.csv", "corpus.parquet"])
def test_a_corpus_that_was_joined_by_markers_is_as_many_documents(tokenized, file):
    stories = [STORY.format(n) for n in range(60)]
    joined, path = "<|endoftext|>".join(stories), paths.raw_file("corpus", file)
    frame = pd.DataFrame(
        {"text": ["<|endoftext|>".join(stories[:59]), f"<|endoftext|>\n<|endoftext|>{stories[59]}<|endoftext|> "]}
    )
    match path.suffix:
        case ".txt":
            path.write_text(joined)
        case ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        case ".csv":
            frame.to_csv(path, index=False)
        case ".parquet":
            frame.to_parquet(path)
    report, documents, reason = tokenized(file, **{"quotes": True} if file.endswith("csv") else {})
    assert report["documents"] == len(documents) == 60 and "markers" not in report and "warning" not in reason
    assert [document.strip() for document in documents] == [story.strip() for story in stories]
    assert f"corpus: {len(documents)} documents" in reason


def test_pages_that_form_feeds_divide_are_text(tokenized):
    pages = "\x0c\n".join(f"\tif (x)\n\x0b  {STORY.format(n)}\x0cThe page ends." for n in range(30))
    RAW_CORPUS.write_text(pages + "\x85\u2028The end.")
    report, documents, _ = tokenized()
    assert report["success"] and report["quarantined"] == 0 and documents == [pages + "\x85\u2028The end."]


def test_other_tools_markers_are_a_warning_with_their_counts(tokenized):
    stories = [
        f"<s>{STORY.format(n)}</s>" if n < 20 else f"<|im_start|>user\n{STORY.format(n)}<|im_end|>" for n in range(60)
    ]
    RAW_CORPUS.write_text("\n".join(stories))
    put_records = [{"instruction": f"Count to {n}.", "input": "", "output": "one <|endoftext|> two"} for n in range(30)]
    RAW_INSTRUCTIONS.write_text(json.dumps(put_records))
    RAW_SPAM.write_text("\n".join([*lines(), "ham\t[CLS] hello"]) + "\n")
    report, documents, reason = tokenized()
    assert report["markers"] == {"<|im_start|>": 40, "<|im_end|>": 40, "<s>": 20, "</s>": 20} and report["success"]
    assert (
        "warning: corpus has names of special tokens, which are learnt as plain text: <|im_start|> 40 times, <|im_end|> 40 times"
        in reason
    )
    assert "where they should end a document, replace them with <|endoftext|>" in reason
    whole = files.read_json(paths.VALIDATION)
    assert whole["instructions"]["markers"] == {"<|endoftext|>": 30} and whole["spam"]["markers"] == {"[CLS]": 1}
    assert documents == ["\n".join(stories)], "a warning changes nothing"


def test_a_marker_in_a_record_or_message_is_never_the_token(tokenizer):
    """The ids of whatever people write: prompts and answers in training, questions in use, messages."""
    for text in ("<|endoftext|>", "one<|endoftext|>two", "<|endoftext|>" * 3, "<|unk|><|im_end|></s>"):
        for template in prompts.TEMPLATES.values():
            for encoded in (template.prompt(text, text), template.target(text), text):
                ids = tokenizer.encode(encoded)
                assert tokenizer.end_of_text not in ids and tokenizer.decode(ids) == encoded
