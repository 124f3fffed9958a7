"""Inputs of the data cards: source, validation result, splits, lengths and examples of each data set.

Messages and records are read whole; of the corpus the token files, slice by slice, and a few documents are decoded.
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

EXAMPLES, MOST_EXAMPLES, QUARANTINE_EXAMPLES = 4, 12, 12
DOCUMENT_TOKENS = 160  # shown per document
SPLITS = ("train", "validation", "test", "natural")


class Source(inputs.Source):
    """Further fields (a member of an archive, files, …) are kept under their names."""

    model_config = ConfigDict(extra="allow")

    licence: str


class ValidationResult(inputs.ValidationResult):
    """None: not measured."""

    near_duplicates: Count | None = None
    conflicting_labels: Count | None = None
    leakage: inputs.Leakage | None = None


class Validation(schemas.Record):
    corpus: ValidationResult
    spam: ValidationResult
    instructions: ValidationResult


class Instruction(schemas.Record):
    row: Count = 0  # not in the splits
    instruction: str
    input: str
    output: str


@dataclass(frozen=True)
class Limit:
    """A parameter that cuts texts, in tokens."""

    name: str
    tokens: int


@dataclass(frozen=True)
class Row:
    """A row of the table of splits, a count per column. `part`: a part of the first row's counts."""

    title: str
    counts: list[int]
    part: bool = True


@dataclass(frozen=True)
class Example:
    """A row of the data set. Missing values are None."""

    row: int
    fields: dict[str, str | int | None]
    tokens: int | None = None
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Quarantine:
    reasons: list[tuple[str, int]]  # and rows, most frequent first
    examples: list[Example]


@dataclass(frozen=True)
class Contents:
    """The valid rows."""

    limit: Limit
    lengths: Lengths
    columns: list[str]  # of the table of splits
    rows: list[Row]
    examples: list[Example]
    classes: int = 0  # rows of the table that are about a class, after the first
    lost: int = 0  # records whose answer is cut off whole


@dataclass(frozen=True)
class Card:
    name: str
    source: Source
    validation: ValidationResult
    contents: Contents
    quarantine: Quarantine


def read(
    context_length: int, message_length: int, record_length: int, template: prompts.PromptTemplate
) -> Iterator[Card]:
    """The three cards. Lengths limit, in tokens, a window, a message, and a prompt with its answer.

    Raises `GptmillError` for an input that is missing, invalid or from another run.
    """
    tokenizer = Tokenizer.load(paths.TOKENIZER)
    validation = schemas.read_json(paths.VALIDATION, Validation, "validate")
    for name, contents in (
        ("corpus", _corpus(tokenizer, Limit("model.context_length", context_length))),
        ("spam", _messages(tokenizer, Limit("classifier.max_length", message_length))),
        ("instructions", _records(tokenizer, Limit("instruct.max_length", record_length), template)),
    ):
        path, result = paths.RAW / f"{name}.source.json", getattr(validation, name)
        source = schemas.read_json(path, Source, f"download@{name}")
        if source.sha256 != result.sha256:
            raise schemas.different_runs(path, paths.VALIDATION)
        yield Card(name, source, result, contents, _quarantine(paths.QUARANTINE / f"{name}.parquet"))


def _corpus(tokenizer: Tokenizer, limit: Limit) -> Contents:
    splits = {split: token_files.read(paths.TOKENS, split) for split in SPLITS[:2]}
    corpus = documents.measure(splits, tokenizer.end_of_text, EXAMPLES)
    sizes = [len(ids) for ids in splits.values()]
    examples = []
    for document in corpus.chosen:
        size = document.stop - document.start
        stop = min(document.stop, document.start + DOCUMENT_TOKENS)
        text = tokenizer.decode(documents.cut_out(splits, document.start, stop))
        if size > DOCUMENT_TOKENS:
            text = text.rstrip("\ufffd") + " …"  # the cut may split a character
        examples.append(Example(document.place, {"text": text}, size))
    rows = [
        Row("Documents that end there", [corpus.lengths.texts, *corpus.ends.values()], part=False),
        Row("Tokens, ends of text included", [sum(sizes), *sizes], part=False),
    ]
    return Contents(limit, corpus.lengths, ["kept", *splits], rows, examples)


def _messages(tokenizer: Tokenizer, limit: Limit) -> Contents:
    kept = _read_parquet(paths.CLEAN_SPAM, "validate", ["row", "label", "text"])
    parts = {"kept": kept}
    for split in SPLITS:
        path = paths.SPAM_SPLITS / f"{split}.parquet"
        if split != "natural" or path.exists():
            parts[split] = _read_parquet(path, "split_spam", ["label", "text"])
    texts = {message["text"] for part in parts.values() for message in part}
    sizes = {text: len(tokenizer.encode(text)) for text in texts}
    counts = {name: Counter(message["label"] for message in part) for name, part in parts.items()}
    classes = sorted(counts["kept"], key=lambda label: (-counts["kept"][label], label))
    rows = [
        Row("Texts", [len(part) for part in parts.values()], part=False),
        *(Row(label, [of_split[label] for of_split in counts.values()]) for label in classes),
        _longer(limit, [[sizes[message["text"]] for message in part] for part in parts.values()]),
    ]
    of_class = [_evenly([message for message in kept if message["label"] == label], EXAMPLES) for label in classes]
    in_turn = [messages[n] for n in range(EXAMPLES) for messages in of_class if n < len(messages)]
    examples = [
        Example(message["row"], {"label": message["label"], "text": message["text"]}, sizes[message["text"]])
        for message in in_turn[: max(EXAMPLES, min(len(classes), MOST_EXAMPLES))]
    ]
    lengths = Lengths(sizes[message["text"]] for message in kept)
    return Contents(limit, lengths, list(parts), rows, examples, len(classes))


def _records(tokenizer: Tokenizer, limit: Limit, template: prompts.PromptTemplate) -> Contents:
    parts = {"kept": schemas.read_jsonl(paths.CLEAN_INSTRUCTIONS, Instruction, "validate")} | {
        split: schemas.read_jsonl(paths.INSTRUCTION_SPLITS / f"{split}.jsonl", Instruction, "split_instructions")
        for split in SPLITS[:3]
    }

    def size(record: Instruction) -> tuple[int, int]:
        """Tokens of the prompt, and of prompt and answer, without the end of text: it is predicted, not read."""
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
    examples = []
    for record, (_, whole) in _evenly(list(zip(parts["kept"], sizes["kept"], strict=True)), EXAMPLES):
        fields = {name: value for name, value in record if name != "row" and (value or name != "input")}
        examples.append(Example(record.row, fields, whole))
    return Contents(limit, Lengths(whole for _, whole in sizes["kept"]), list(parts), rows, examples, lost=lost[0])


def _longer(limit: Limit, sizes: list[list[int]]) -> Row:
    return Row(f"Longer than {limit.tokens:,} tokens", [sum(size > limit.tokens for size in part) for part in sizes])


def _quarantine(path: Path) -> Quarantine:
    """Counts all rows by reason, and picks examples from the reasons in turn."""
    of_reason: dict[str, list[int]] = defaultdict(list)
    every = _read_parquet(path, "validate", ["row", "reasons"])
    for place, row in enumerate(every):
        for reason in row["reasons"].split("; "):
            of_reason[reason].append(place)
    counts = ((reason, len(places)) for reason, places in of_reason.items())
    reasons = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    turns = [of_reason[reason][turn] for turn in range(QUARANTINE_EXAMPLES) for reason, rows in reasons if turn < rows]
    chosen = sorted(list(dict.fromkeys(turns))[:QUARANTINE_EXAMPLES])
    examples = []
    for row in _rows(path, chosen):
        number, why = row.pop("row"), row.pop("reasons")
        examples.append(Example(number, row, reasons=why.split("; ")))
    return Quarantine(reasons, examples)


def _rows(path: Path, places: list[int]) -> Iterator[dict[str, Any]]:
    """The rows at these sorted places, with one batch of the file in memory."""
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
    """`choose` of the rows, evenly spaced; all where they are fewer."""
    choose = min(choose, len(rows))
    return [rows[(2 * n + 1) * len(rows) // (2 * choose)] for n in range(choose)]
