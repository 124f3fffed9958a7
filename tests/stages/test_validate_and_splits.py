import hashlib
import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from gptmill import files, paths
from gptmill.errors import GptmillError
from gptmill.params import CorpusParams, ExpectationParams, InstructionsParams, SharesParams, SpamParams, SpamSplitParams
from gptmill.params.sources import STANDARD
from gptmill.stages import split_instructions, split_spam, validate

RAW_CORPUS, RAW_SPAM, RAW_INSTRUCTIONS = (paths.RAW / name for name in ("corpus.txt", "spam.tsv", "instructions.json"))
SOURCE = {"urls": [], "member": "", "sha256": "", "licence": "", "max_megabytes": 1}
SOURCES = {
    "corpus": CorpusParams(**SOURCE, **STANDARD["corpus"]),
    "spam": SpamParams(**SOURCE, **STANDARD["spam"]),
    "instructions": InstructionsParams(**SOURCE, **STANDARD["instructions"]),
}

# Each stage gets the params that it may read, and no others.
CHECKS = SimpleNamespace(data=SimpleNamespace(**SOURCES, expectations=ExpectationParams(
    min_corpus_characters=100, min_messages=50, min_records=20, min_spam_share=0.1, max_spam_share=0.6, max_quarantined_share=0.1
)))  # fmt: skip
SPAM = SimpleNamespace(
    seed=7, data=SimpleNamespace(**SOURCES), split=SimpleNamespace(spam=SpamSplitParams(train=0.6, validation=0.2, balance="undersample"))
)
INSTRUCTIONS = SimpleNamespace(seed=7, split=SimpleNamespace(instructions=SharesParams(train=0.6, validation=0.2)))


def lines() -> list[str]:
    return [f"ham\tsee you at {n}:30, then" for n in range(60)] + [f'spam\tWIN £{n}00 "now"\x85'[:-1] for n in range(30)]


def records() -> list[dict]:
    return [{"instruction": f"Count to {n}.", "input": "", "output": " ".join(map(str, range(n + 1)))} for n in range(30)]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put()
    return tmp_path


def put(corpus: str = "Once upon a time. " * 20, spam: list[str] | None = None, instructions: list | None = None) -> None:
    paths.RAW.mkdir(parents=True, exist_ok=True)
    RAW_CORPUS.write_text(corpus)
    RAW_SPAM.write_text("\n".join(spam or lines()) + "\n")
    RAW_INSTRUCTIONS.write_text(json.dumps(records() if instructions is None else instructions))


def run_all() -> None:
    validate.run(CHECKS)
    split_spam.run(SPAM)
    split_instructions.run(INSTRUCTIONS)


def hashes(*folders: Path) -> dict[str, str]:
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_the_stages_write_what_the_next_ones_read(capsys):
    run_all()
    assert paths.CLEAN_CORPUS.read_text() == RAW_CORPUS.read_text()
    assert list(pd.read_parquet(paths.CLEAN_SPAM).columns) == ["row", "label", "text"]
    assert files.read_jsonl(paths.CLEAN_INSTRUCTIONS)[0] == {"row": 1, **records()[0]}
    assert sorted(path.name for path in paths.SPAM_SPLITS.iterdir()) == ["test.parquet", "train.parquet", "validation.parquet"]
    assert list(pd.read_parquet(paths.SPAM_SPLITS / "test.parquet").columns) == ["label", "text"]
    assert sorted(path.name for path in paths.INSTRUCTION_SPLITS.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]
    assert list(files.read_jsonl(paths.INSTRUCTION_SPLITS / "train.jsonl")[0]) == ["instruction", "input", "output"]
    assert paths.DATA_DOCS.joinpath("index.html").exists()
    said = capsys.readouterr().out
    assert "spam: messages 90, ham 60, spam 30, duplicates 0, kept 90, quarantined 0" in said
    assert "spam: 60 messages -> train 36, validation 12, test 12 (50.0% spam)" in said
    assert "instructions: 30 records -> train 18, validation 6, test 6" in said


def test_what_is_quarantined_and_what_is_kept_add_up():
    put("Once upon a time. " * 20 + "\n<|endoftext|>\nThe end.\n" * 15, [*lines(), "", "hum\tx"], [*records(), {"instruction": "a"}, 5])
    validate.run(CHECKS)
    report = files.read_json(paths.VALIDATION)
    assert report["success"] and report["spam"]["messages"] == 92 == report["spam"]["kept"] + report["spam"]["quarantined"]
    assert report["instructions"]["records"] == 32 == report["instructions"]["kept"] + report["instructions"]["quarantined"]
    assert report["corpus"]["documents"] == 16 and report["corpus"]["duplicates"] == 14
    quarantine = pd.read_parquet(paths.QUARANTINE / "spam.parquet")
    assert list(quarantine["row"]) == [91, 92] and list(quarantine["reasons"])[1] == "label is unknown"
    assert 91 not in set(pd.read_parquet(paths.CLEAN_SPAM)["row"]) and len(files.read_jsonl(paths.CLEAN_INSTRUCTIONS)) == 30
    assert list(pd.read_parquet(paths.QUARANTINE / "corpus.parquet").columns) == ["row", "text", "reasons"]


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
    spam_lines, items = lines() + ["ham\tsee you at 3:30 THEN!", "ham\tsee you at 3:30, then"], records() + records()[:3]
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
    assert "corpus: 1 expectation is not met:\n  the corpus has 100 characters or more: observed 10, allowed at least 100" in message
    assert "spam: 1 expectation is not met:\n  between 10% and 60% of the messages are spam: observed 0.016393" in message
    assert "instructions: 1 expectation is not met:\n  20 records or more are kept: observed 5" in message
    assert "reports/data_docs/index.html" in message
    assert paths.DATA_DOCS.joinpath("index.html").exists()
    assert not paths.CLEAN.exists() and not paths.QUARANTINE.exists() and not paths.VALIDATION.exists()


def test_an_unreadable_file_leaves_nothing():
    RAW_INSTRUCTIONS.write_text("<html>not found</html>")
    with pytest.raises(GptmillError, match=r"data/raw/instructions\.json is an HTML or XML page"):
        validate.run(CHECKS)
    assert [path.name for path in Path("data").iterdir()] == ["raw"] and not paths.REPORTS.exists()


@pytest.mark.parametrize(
    ("stage", "params", "needed"),
    [(split_spam, SPAM, paths.CLEAN_SPAM), (split_instructions, INSTRUCTIONS, paths.CLEAN_INSTRUCTIONS)],
)
def test_a_split_without_clean_data_says_what_is_missing(stage, params, needed):
    with pytest.raises(GptmillError, match=f"{needed} is not here"):
        stage.run(params)


def test_a_split_that_would_be_empty_leaves_no_folder():
    put(spam=lines()[58:62] * 20)  # 80 rows, 4 texts
    validate.run(CHECKS)
    with pytest.raises(GptmillError, match=r"spam: the \w+ split would be empty"):
        split_spam.run(
            SimpleNamespace(seed=7, data=SPAM.data, split=SimpleNamespace(spam=SpamSplitParams(train=0.9, validation=0.05, balance="none")))
        )
    assert not paths.SPAM_SPLITS.exists()
