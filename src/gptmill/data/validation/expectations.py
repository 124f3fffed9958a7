"""The expectations of the three data sets: a description and a stock expectation of Great Expectations (named, not
imported).

A row that fails a row-level expectation goes to quarantine with the reason; a table that fails a table-level one stops
the graph. Checks are on computed columns. Table-level ones may use `kept_x`: column x, null in quarantined rows.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gptmill.config.data import ExpectationParams
from gptmill.data import duplicates, instructions, text_files
from gptmill.data.instructions import FIELDS
from gptmill.text import prompts, tokenizer

NOT_NULL, IN_SET = "ExpectColumnValuesToNotBeNull", "ExpectColumnValuesToBeInSet"
BETWEEN, SUM, MEAN = "ExpectColumnValuesToBeBetween", "ExpectColumnSumToBeBetween", "ExpectColumnMeanToBeBetween"
CONTROL = "has control characters or undecodable ones"


@dataclass(frozen=True)
class Rule:
    """One expectation: its description, the name and arguments of the stock expectation, and what is allowed."""

    description: str
    check: str
    arguments: dict[str, Any]
    allowed: str
    reason: str | None = None  # of a quarantined row; None: the rule is about the table
    details: str | None = None  # column with details of a row, added to its reason


@dataclass(frozen=True)
class DataSet:
    """A data set as read, with computed columns, and its expectations."""

    name: str
    columns: list[str]  # those that identify a row, and those of the file
    frame: pd.DataFrame
    rules: list[Rule]
    kept_columns: tuple[str, ...] = ()  # computed columns to save with valid rows
    counts: dict[str, Any] = field(default_factory=dict)  # of the rows as read


def corpus(frame: pd.DataFrame, params: ExpectationParams, context_length: int, validation_share: float) -> DataSet:
    """`frame`: the result of `corpus_stats.measure`."""
    characters, unbroken, repeated = (
        params.min_corpus_characters, params.max_unbroken_characters, params.max_repeated_line_share,
    )  # fmt: skip
    # A token has at least one byte, so this much is needed with any tokenizer. The tokenize stage counts exactly.
    window = math.ceil((context_length + 1) / min(validation_share, 1 - validation_share))

    def rule(description: str, check: str, column: str, reason: str, **arguments: Any) -> Rule:
        return _row_rule(description, check, {"column": f"text_{column}", **arguments}, f"text {reason}", params)

    too_long = f"has more than {unbroken:,} characters without white space"
    both_splits = f"for a window of {context_length:,} tokens in both of its splits"
    rules = [
        rule("every document has a text that is a string", NOT_NULL, "characters", "is missing or not a string"),
        rule("no text is empty", BETWEEN, "visible_characters", "is empty", min_value=1),
        rule(f"no text {CONTROL}", BETWEEN, "control_characters", CONTROL, max_value=0),
        rule(f"no text {too_long}", BETWEEN, "unbroken_characters", too_long, max_value=unbroken),
        _at_least(f"the corpus has {characters:,} characters or more", SUM, "kept_text_characters", characters),
        _at_least(f"the corpus has {window:,} bytes or more, {both_splits}", SUM, "kept_text_bytes", window),
        _at_most(f"at most {_percent(repeated)} of the lines are repeated", SUM, "repeated_line_share", repeated),
        _quarantine_rule("documents", params),
    ]
    return DataSet("corpus", ["document", "row"], frame, rules)


def messages(frame: pd.DataFrame, labels: Sequence[str], params: ExpectationParams) -> DataSet:
    """`frame`: columns `row`, `label` and `text`."""
    columns, labels, first = ["row", "label", "text"], list(labels), ", ".join(labels[:-1])
    known = {"column": "label", "value_set": labels}
    no_conflict = {"column": "has_conflict", "value_set": [False]}
    conflicting = "text has another label elsewhere"
    all_labels = {"column": "kept_label", "value_set": labels}
    share = params.min_class_share
    rules = [
        _row_rule("every message has a label", NOT_NULL, {"column": "label"}, "label is missing", params),
        _row_rule(f"every label is {first} or {labels[-1]}", IN_SET, known, "label is unknown", params),
        *_text_rules("text", "message", params),
        _row_rule("no text has two labels", IN_SET, no_conflict, conflicting, params, details="conflict"),
        _at_least(f"{params.min_messages:,} messages or more are valid", SUM, "is_kept", params.min_messages),
        Rule(
            f"the labels are {first} and {labels[-1]}, and all occur",
            "ExpectColumnDistinctValuesToEqualSet",
            all_labels,
            ", ".join(labels),
        ),
        *[
            _at_least(f"{_percent(share)} of the messages or more are {label}", MEAN, f"kept_is_class_{number}", share)
            for number, label in enumerate(labels)
        ],
        *_duplicate_rules("messages", params),
        _quarantine_rule("messages", params),
    ]
    texts = _readable(frame["text"], params)
    conflict = duplicates.label_conflicts(frame.assign(text=texts), labels)
    marks = duplicates.mark_duplicates(texts, params.near_duplicate_similarity)
    measured = pd.concat([_add_text_stats(frame, ["text"]), marks], axis="columns").assign(
        conflict=conflict, has_conflict=conflict.notna()
    )
    for number, label in enumerate(labels):
        measured[f"is_class_{number}"] = (frame["label"] == label).astype("float64")
    counts = {
        "messages": len(frame),
        "classes": {label: int((frame["label"] == label).sum()) for label in labels},
        **_duplicate_counts(measured),
        "conflicting_labels": int(conflict.notna().sum()),
    }
    return DataSet("spam", columns, measured, rules, kept_columns=("group",), counts=counts)


def records(
    frame: pd.DataFrame, params: ExpectationParams, context_length: int, template: prompts.PromptTemplate
) -> DataSet:
    """`context_length` in tokens, of which a text has at least as many as pre-tokenized pieces, with any tokenizer.

    `template`: of prompts and outputs.
    """
    limit = f"{context_length:,} tokens"
    rules = [rule for name in FIELDS for rule in _text_rules(name, "record", params, may_be_empty=name == "input")]
    rules += [
        _row_rule(
            f"no record is certain to have more than the {limit} of the model's context",
            BETWEEN,
            {"column": "pieces", "max_value": context_length},
            f"prompt and output have more than {limit}, the model's context",
            params,
        ),
        _at_least(f"{params.min_records:,} records or more are valid", SUM, "is_kept", params.min_records),
        *_duplicate_rules("records", params),
        _quarantine_rule("records", params),
    ]
    fields = {name: _readable(frame[name], params) for name in FIELDS}
    questions = instructions.questions(pd.DataFrame(fields))
    marks = duplicates.mark_duplicates(questions, params.near_duplicate_similarity)
    measured = pd.concat([_add_text_stats(frame, FIELDS), marks], axis="columns")
    measured["pieces"] = [_pieces(template, *texts) for texts in zip(*(fields[name] for name in FIELDS), strict=True)]
    with_input = int((frame["input"].fillna("").str.strip() != "").sum())
    counts = {"records": len(frame), "with_input": with_input, **_duplicate_counts(measured)}
    return DataSet("instructions", ["row", *FIELDS], measured, rules, kept_columns=("group",), counts=counts)


def _readable(texts: pd.Series, params: ExpectationParams) -> pd.Series:
    """Null for texts that are too long and go to quarantine: nothing slow is computed of them."""
    return texts.where(texts.map(len, na_action="ignore") <= params.max_text_characters)


def _pieces(template: prompts.PromptTemplate, *texts: Any) -> float:
    """Pre-tokenized pieces of a record's prompt and output, a lower bound of their tokens (end of text not counted)."""
    if any(pd.isna(text) for text in texts):
        return float("nan")
    instruction, input_, output = texts
    prompt, target = template.prompt(instruction, input_), template.target(output)
    return float(tokenizer.count_pieces(prompt) + tokenizer.count_pieces(target))


def _duplicate_counts(measured: pd.DataFrame) -> dict[str, int]:
    return {f"{kind}s": int(measured[f"is_{kind}"].sum()) for kind in ("duplicate", "near_duplicate")}


def _duplicate_rules(rows: str, params: ExpectationParams) -> list[Rule]:
    exact, near = params.max_duplicate_share, params.max_near_duplicate_share
    repeat = f"at most {_percent(exact)} of the {rows} are duplicates, ignoring case and spacing"
    similar = f"at most {_percent(near)} of the {rows} are near-duplicates"
    return [_at_most(repeat, MEAN, "is_duplicate", exact), _at_most(similar, MEAN, "is_near_duplicate", near)]


def _row_rule(
    description: str, check: str, arguments: dict[str, Any], reason: str, params: ExpectationParams, details=None
) -> Rule:
    share = params.max_quarantined_share
    allowed = f"at most {_percent(share)} of the rows"
    return Rule(description, check, {**arguments, "mostly": 1 - share}, allowed, reason, details)


def _at_least(description: str, check: str, column: str, least: float) -> Rule:
    allowed = f"at least {least:,}" if isinstance(least, int) else f"at least {least}"
    return Rule(description, check, {"column": column, "min_value": least}, allowed)


def _at_most(description: str, check: str, column: str, most: float) -> Rule:
    return Rule(description, check, {"column": column, "max_value": most}, f"at most {most}")


def _text_rules(column: str, row: str, params: ExpectationParams, *, may_be_empty: bool = False) -> list[Rule]:
    def rule(description: str, check: str, suffix: str, reason: str, **arguments: Any) -> Rule:
        return _row_rule(description, check, {"column": column + suffix, **arguments}, f"{column} {reason}", params)

    article, longest = "an" if column[0] in "aeiou" else "a", params.max_text_characters
    too_long = f"is longer than {longest:,} characters"
    string = f"every {row} has {article} {column} that is a string"
    rules = [rule(string, NOT_NULL, "", "is missing or not a string")]
    if not may_be_empty:
        rules.append(rule(f"no {column} is empty", BETWEEN, "_visible_characters", "is empty", min_value=1))
    return [
        *rules,
        rule(f"no {column} {too_long}", BETWEEN, "_characters", too_long, max_value=longest),
        rule(f"no {column} {CONTROL}", IN_SET, "_has_control_characters", CONTROL, value_set=[False]),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _quarantine_rule(rows: str, params: ExpectationParams) -> Rule:
    share = params.max_quarantined_share
    return _at_most(f"at most {_percent(share)} of the {rows} are in quarantine", MEAN, "is_quarantined", share)


def _add_text_stats(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Adds for each text column: its length, that without outer white space, and whether it has control characters."""
    measured = frame.copy()
    for column in columns:
        texts = frame[column]
        visible = texts.map(lambda text: len(text.strip()), na_action="ignore")
        controls = map(text_files.CONTROL_CHARACTERS.search, texts.fillna(""))
        measured[f"{column}_characters"] = texts.map(len, na_action="ignore").astype("float64")
        measured[f"{column}_visible_characters"] = visible.astype("float64")
        measured[f"{column}_has_control_characters"] = list(map(bool, controls))
    return measured
