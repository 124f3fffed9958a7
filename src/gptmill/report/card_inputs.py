"""What the data cards are made of: where each data set came from, what validation found, and what became of its rows.

Messages and records are read whole. Of the corpus, only the token files are read, slice by slice, and a few documents decoded to be shown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import ConfigDict

from gptmill.core import paths
from gptmill.report import documents, inputs, schemas
from gptmill.report.inputs import Count
from gptmill.report.lengths import Lengths
from gptmill.text import prompts, token_files
from gptmill.text.tokenizer import Tokenizer

KEPT_SHOWN, MOST_SHOWN, QUARANTINED_SHOWN = 4, 12, 12
DOCUMENT_TOKENS = 160  # as many of a document are shown
SPLITS = ("train", "validation", "test", "natural")


class Source(inputs.Source):
    """What else is known of the source (a member of an archive, how many files, …) is kept under its own name."""

    model_config = ConfigDict(extra="allow")

    licence: str


class Findings(inputs.Findings):
    """None: not measured."""

    near_duplicates: Count | None = None
    conflicting_labels: Count | None = None
    leakage: inputs.Leakage | None = None


class Validation(schemas.Record):
    corpus: Findings
    spam: Findings
    instructions: Findings


class Instruction(schemas.Record):
    row: Count = 0  # the splits have none
    instruction: str
    input: str
    output: str


@dataclass(frozen=True)
class Limit:
    """What cuts texts: the parameter's name, and its value in tokens."""

    name: str
    tokens: int


@dataclass(frozen=True)
class Row:
    """A row of the table of splits: a count for each column. `part`: its counts are part of the first row's."""

    title: str
    counts: list[int]
    part: bool = True


@dataclass(frozen=True)
class Example:
    """A row of the data set and what it holds; None stands for what is missing."""

    row: int
    fields: dict[str, str | int | None]
    tokens: int | None = None
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Quarantine:
    reasons: list[tuple[str, int]]  # each with the number of its rows, the most frequent first
    examples: list[Example]


@dataclass(frozen=True)
class Contents:
    """What became of the rows that were kept."""

    limit: Limit
    lengths: Lengths
    columns: list[str]  # of the table of splits
    rows: list[Row]
    examples: list[Example]
    classes: int = 0  # so many of the rows are about a class, those after the first
    lost: int = 0  # records of which the limit leaves no answer


@dataclass(frozen=True)
class Card:
    name: str
    source: Source
    findings: Findings
    contents: Contents
    quarantine: Quarantine


def read(
    context_length: int, message_length: int, record_length: int, template: prompts.PromptTemplate
) -> Iterator[Card]:
    """The three cards. What limits the lengths that the models read, in tokens: a window, a message, an instruction with its answer.

    `template`: what instructions and answers become.

    Raises `GptmillError` when an input is missing, is not what its stage writes, or belongs to another run.
    """
    tokenizer = Tokenizer.load(paths.TOKENIZER)
    validation = schemas.read_json(paths.VALIDATION, Validation, "validate")
    for name, contents in (
        ("corpus", _corpus(tokenizer, Limit("model.context_length", context_length))),
        ("spam", _messages(tokenizer, Limit("classifier.max_length", message_length))),
        ("instructions", _records(tokenizer, Limit("instruct.max_length", record_length), template)),
    ):
        path, findings = paths.RAW / f"{name}.source.json", getattr(validation, name)
        source = schemas.read_json(path, Source, f"download@{name}")
        if source.sha256 != findings.sha256:
            raise schemas.different_runs(path, paths.VALIDATION)
        yield Card(name, source, findings, contents, _quarantine(paths.QUARANTINE / f"{name}.parquet"))


def _corpus(tokenizer: Tokenizer, limit: Limit) -> Contents:
    splits = {split: token_files.read(paths.TOKENS, split) for split in SPLITS[:2]}
    found = documents.measure(splits, tokenizer.end_of_text, KEPT_SHOWN)
    sizes = [len(ids) for ids in splits.values()]
    examples = []
    for document in found.chosen:
        size = document.stop - document.start
        text = tokenizer.decode(
            documents.cut_out(splits, document.start, min(document.stop, document.start + DOCUMENT_TOKENS))
        )
        if size > DOCUMENT_TOKENS:
            text = text.rstrip("\ufffd") + " …"  # the cut may go through a character
        examples.append(Example(document.place, {"text": text}, size))
    rows = [
        Row("Documents that end there", [found.lengths.texts, *found.ends.values()], part=False),
        Row("Tokens, ends of text included", [sum(sizes), *sizes], part=False),
    ]
    return Contents(limit, found.lengths, ["kept", *splits], rows, examples)


def _messages(tokenizer: Tokenizer, limit: Limit) -> Contents:
    kept = _read_parquet(paths.CLEAN_SPAM, "validate", ["row", "label", "text"])
    parts = {"kept": kept} | {
        split: _read_parquet(path, "split_spam", ["label", "text"])
        for split in SPLITS
        if split != "natural" or (paths.SPAM_SPLITS / "natural.parquet").exists()
        for path in [paths.SPAM_SPLITS / f"{split}.parquet"]
    }
    sizes = {
        text: len(tokenizer.encode(text)) for text in {message["text"] for part in parts.values() for message in part}
    }
    counts = {name: Counter(message["label"] for message in part) for name, part in parts.items()}
    classes = sorted(counts["kept"], key=lambda label: (-counts["kept"][label], label))
    rows = [
        Row("Texts", [len(part) for part in parts.values()], part=False),
        *(Row(label, [of_split[label] for of_split in counts.values()]) for label in classes),
        _longer(limit, [[sizes[message["text"]] for message in part] for part in parts.values()]),
    ]
    of_class = [[message for message in kept if message["label"] == label] for label in classes]
    shown = [
        message
        for n in range(KEPT_SHOWN)
        for messages in of_class
        for message in _evenly(messages, KEPT_SHOWN)[n : n + 1]
    ]
    examples = [
        Example(message["row"], {"label": message["label"], "text": message["text"]}, sizes[message["text"]])
        for message in shown[: max(KEPT_SHOWN, min(len(classes), MOST_SHOWN))]
    ]
    return Contents(
        limit, Lengths(sizes[message["text"]] for message in kept), list(parts), rows, examples, len(classes)
    )


def _records(tokenizer: Tokenizer, limit: Limit, template: prompts.PromptTemplate) -> Contents:
    parts = {"kept": schemas.read_jsonl(paths.CLEAN_INSTRUCTIONS, Instruction, "validate")} | {
        split: schemas.read_jsonl(paths.INSTRUCTION_SPLITS / f"{split}.jsonl", Instruction, "split_instructions")
        for split in SPLITS[:3]
    }

    def size(record: Instruction) -> tuple[int, int]:
        """Tokens that the model reads of the prompt, and of prompt and answer: the end of the text is predicted, and not read."""
        prompt = len(tokenizer.encode(template.prompt(record.instruction, record.input)))
        return prompt, prompt + len(tokenizer.encode(template.target(record.output)))

    sizes = {name: [size(record) for record in part] for name, part in parts.items()}
    lost = [sum(prompt > limit.tokens for prompt, _ in part) for part in sizes.values()]
    rows = [
        Row("Records", [len(part) for part in parts.values()], part=False),
        Row("With an input", [sum(bool(record.input.strip()) for record in part) for part in parts.values()]),
        _longer(limit, [[whole for _, whole in part] for part in sizes.values()]),
        Row("Answer cut off whole", lost),
    ]
    examples = [
        Example(
            record.row, {name: value for name, value in record if name != "row" and (value or name != "input")}, whole
        )
        for record, (_, whole) in _evenly(list(zip(parts["kept"], sizes["kept"], strict=True)), KEPT_SHOWN)
    ]
    return Contents(limit, Lengths(whole for _, whole in sizes["kept"]), list(parts), rows, examples, lost=lost[0])


def _longer(limit: Limit, sizes: list[list[int]]) -> Row:
    return Row(f"Longer than {limit.tokens:,} tokens", [sum(size > limit.tokens for size in part) for part in sizes])


def _quarantine(path: Path) -> Quarantine:
    """All rows are counted, some are shown: of each reason, as far as there is room."""
    of_reason: dict[str, list[int]] = defaultdict(list)
    every = _read_parquet(path, "validate", ["row", "reasons"])
    for place, row in enumerate(every):
        for reason in row["reasons"].split("; "):
            of_reason[reason].append(place)
    reasons = sorted(
        ((reason, len(places)) for reason, places in of_reason.items()), key=lambda pair: (-pair[1], pair[0])
    )
    turns = [of_reason[reason][turn] for turn in range(QUARANTINED_SHOWN) for reason, rows in reasons if turn < rows]
    chosen = sorted(list(dict.fromkeys(turns))[:QUARANTINED_SHOWN])
    return Quarantine(reasons, [_quarantined(row) for row in _rows(path, chosen)])


def _quarantined(row: dict[str, Any]) -> Example:
    fields = {name: value for name, value in row.items() if name not in ("row", "reasons")}
    return Example(row["row"], fields, reasons=row["reasons"].split("; "))


def _rows(path: Path, places: list[int]) -> Iterator[dict[str, Any]]:
    """The rows at these places, which are in order; no more than a batch of the file is in memory."""
    with schemas.reading(path, "validate"), pq.ParquetFile(path) as file:
        before = 0
        for batch in file.iter_batches(batch_size=256):
            for place in places:
                if before <= place < before + len(batch):
                    yield from batch.slice(place - before, 1).to_pylist()
            before += len(batch)


def _read_parquet(path: Path, stage: str, columns: list[str]) -> list[dict[str, Any]]:
    with schemas.reading(path, stage):
        return pq.read_table(path, columns=columns).to_pylist()


def _evenly(rows: Sequence[Any], choose: int) -> list[Any]:
    """So many of the rows, evenly spaced; all of them when they are fewer."""
    choose = min(choose, len(rows))
    return [rows[(2 * n + 1) * len(rows) // (2 * choose)] for n in range(choose)]
